"""Running a command for a request, once."""
