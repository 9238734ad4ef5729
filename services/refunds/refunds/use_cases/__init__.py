"""Use cases of refunds: one function per command or query, inside the caller's transaction."""
