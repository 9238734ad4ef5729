"""Background jobs in PostgreSQL: the queue, the worker, and the dead letters of jobs that failed permanently."""
