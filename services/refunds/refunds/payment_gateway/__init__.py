"""The payment gateway: the port that the worker uses, and an adapter per provider, which only `app` chooses."""
