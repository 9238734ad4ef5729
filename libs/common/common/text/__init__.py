"""Texts from outside: addresses, and what the database, a terminal and a reader can display."""
