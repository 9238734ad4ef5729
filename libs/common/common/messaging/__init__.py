"""Events: out through the outbox and the relay, in through the subscriber and the inbox."""
