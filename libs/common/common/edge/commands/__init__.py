"""Running a command or a query for a request: transaction, idempotency key, JSON response."""
