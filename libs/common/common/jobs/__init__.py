"""Jobs in PostgreSQL: the queue, the worker that runs them, and the dead letters of those that failed."""
