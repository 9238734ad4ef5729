"""Publishing events: the outbox, which is written with the change, and the relay."""
