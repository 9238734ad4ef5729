"""Use cases of invoicing: one function per command or query, inside the caller's transaction."""
