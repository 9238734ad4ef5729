"""Invoices as plain Python, without I/O."""
