"""Which partition of a topic holds a key's events: that of Kafka's default partitioner, which the relay sends with."""

from aiokafka.partitioner import DefaultPartitioner

_partition = DefaultPartitioner()


def partition_of(key: str, partitions: int) -> int:
    """Raises `ZeroDivisionError` for a topic without partitions."""
    number: int = _partition(key.encode(), range(partitions), ())
    return number
