"""Storage of invoices in PostgreSQL: one prepared statement per step."""
