"""Use cases of orders: one function per command or query, inside the caller's transaction."""
