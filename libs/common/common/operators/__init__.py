"""Commands and queries of operators, for the HTTP routes and for the command line."""
