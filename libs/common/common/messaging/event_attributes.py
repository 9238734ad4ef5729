"""Attributes of the spans of events, by the semantic conventions for Kafka."""

from collections.abc import Mapping


def event_attributes(topic: str, partition: int, *, event_id: str, event_type: str, key: str) -> Mapping[str, str]:
    """The key is an id: the event's data are never in a span."""
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
        "messaging.message.id": event_id,
        "messaging.kafka.message.key": key,
        "articurated.event_type": event_type,
    }
