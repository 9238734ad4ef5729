"""Consuming events: the subscriber, the inbox, and poison records."""
