"""Storage of returns in PostgreSQL: one prepared statement per step."""
