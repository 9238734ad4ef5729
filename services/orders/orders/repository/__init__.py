"""Storage of orders in PostgreSQL: one prepared statement per step."""
