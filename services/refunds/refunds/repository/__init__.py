"""Storage of refunds in PostgreSQL: one prepared statement per step."""
