"""What an aiokafka client knows of the cluster, and how to ask it again without waiting for a broker that hangs."""

import asyncio
from typing import Any, cast

from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import TopicPartition

from common.messaging.outgoing.holds import Partition

ANSWER_SECONDS = 1.0


def bound_updates(client: Any) -> None:
    """Give up a broker that does not answer a request for metadata after `ANSWER_SECONDS`; the next one is asked at
    another broker. aiokafka would wait for the request's time limit, and open no connection to any broker meanwhile."""
    update = client._metadata_update

    async def bounded(cluster: Any, topics: Any) -> bool:
        try:
            return cast(bool, await asyncio.wait_for(update(cluster, topics), ANSWER_SECONDS))
        except TimeoutError:
            return False

    client._metadata_update = bounded


async def refresh(client: Any) -> bool:
    """Whether a broker answered."""
    try:
        return cast(bool, await asyncio.wait_for(client.force_metadata_update(), 2 * ANSWER_SECONDS))
    except TimeoutError:
        return False


async def partition_count(client: Any, topic: str) -> int | None:
    """None when the topic is missing or forbidden. Raises `TimeoutError` when nobody says."""
    client.add_topic(topic)
    answers = 0
    # Asked twice: an answer may have been under way already when the topic was added to the question.
    for _ in range(4):
        if partitions := client.cluster.partitions_for_topic(topic):
            return len(partitions)
        if answers == 2:
            return None
        answers += await refresh(client)
    raise TimeoutError(f"no broker says how many partitions {topic} has")


def leader(client: Any, partition: Partition) -> int | None:
    """The broker that takes this partition's records; None when there is none, as far as is known."""
    found: int | None = client.cluster.leader_for_partition(TopicPartition(*partition))
    return None if found == -1 else found


def led_by(client: Any, broker: int) -> list[Partition]:
    return [(each.topic, each.partition) for each in client.cluster.partitions_for_broker(broker) or ()]


def has_other_brokers(client: Any, broker: int | None) -> bool:
    return any(each.nodeId != broker for each in client.cluster.brokers())


async def answers(client: Any, broker: int) -> bool:
    """Whether this very broker answers a request at once."""
    try:
        await asyncio.wait_for(client.send(broker, MetadataRequest([])), ANSWER_SECONDS)
    except (KafkaError, TimeoutError):
        return False
    return True


def has_answered(producer: Any, partition: Partition, broker: int | None) -> bool:
    """Whether a broker that is connected has refused this partition's batch for now, as when replicas are missing.
    aiokafka tries it again, and tells nobody."""
    connection = producer.client._conns.get((broker, ConnectionGroup.DEFAULT))
    return connection is not None and connection.connected() and _attempts(producer, partition) > 1


def _attempts(producer: Any, partition: Partition) -> int:
    """How often the batch under way was handed to a broker."""
    place, accumulator = TopicPartition(*partition), producer._message_accumulator
    batches = [*accumulator._batches.get(place, ()), *(e for e in accumulator._pending_batches if e.tp == place)]
    return max((batch.retry_count for batch in batches), default=0)
