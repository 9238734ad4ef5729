"""Returns in PostgreSQL: few statements, prepared once, each with all that belongs to one step."""
