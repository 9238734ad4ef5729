"""Text that the database, a terminal or a reader can take."""
