"""Messaging by Kafka: events are published from the outbox, and consumed with the inbox."""
