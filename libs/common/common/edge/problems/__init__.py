"""Error responses in the one shape of the contract (RFC 9457)."""
