"""Events on their way out: the outbox that is written with the change, and the relay that sends it."""
