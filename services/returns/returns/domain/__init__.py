"""The domain of returns: plain Python, no I/O."""
