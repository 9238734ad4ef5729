"""Refunds as plain Python, without I/O."""
