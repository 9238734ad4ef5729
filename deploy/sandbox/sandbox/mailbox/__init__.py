"""A mail server that keeps what it is sent and shows it with Mailpit's API (v1)."""
