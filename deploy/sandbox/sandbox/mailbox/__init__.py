"""A mail server that stores every message and serves Mailpit's API (v1)."""
