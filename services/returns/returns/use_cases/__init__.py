"""Use cases of returns: one function per command or query, inside the caller's transaction."""
