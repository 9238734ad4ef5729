"""How a service runs: command line, migration, roles, and an end that always comes."""
