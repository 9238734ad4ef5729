"""Bearer tokens: JWTs of an identity provider, verified with its published keys (ADR 29)."""
