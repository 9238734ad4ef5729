"""The domain of orders: plain Python, no I/O."""
