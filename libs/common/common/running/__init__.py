"""How a service runs: command line, migration, process, roles, HTTP server."""
