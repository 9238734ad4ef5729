"""Routing: the guarded route, the direct way to it, and the arguments of its endpoint."""
