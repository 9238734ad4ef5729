"""Logs and W3C trace context."""
