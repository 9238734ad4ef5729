"""Questions about the Kafka cluster, none of which waits long for a broker that hangs."""

import asyncio
from typing import cast

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import TopicPartition

from common.messaging.outgoing.holds import Partition

ANSWER_SECONDS = 1.0


async def refresh(client: AIOKafkaClient) -> bool:
    """Whether a broker answered."""
    try:
        return cast(bool, await asyncio.wait_for(client.force_metadata_update(), 2 * ANSWER_SECONDS))
    except TimeoutError:
        return False


async def partition_count(client: AIOKafkaClient, topic: str) -> int | None:
    """None when the topic is missing or forbidden. Raises `TimeoutError` when no broker says."""
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


def leader(client: AIOKafkaClient, partition: Partition) -> int | None:
    """The broker that accepts this partition's records; None when there is none, as far as is known."""
    broker: int | None = client.cluster.leader_for_partition(TopicPartition(*partition))
    return None if broker == -1 else broker


def led_by(client: AIOKafkaClient, broker: int) -> list[Partition]:
    return [(each.topic, each.partition) for each in client.cluster.partitions_for_broker(broker) or ()]


def has_other_brokers(client: AIOKafkaClient, broker: int | None) -> bool:
    return any(each.nodeId != broker for each in client.cluster.brokers())


async def answers(client: AIOKafkaClient, broker: int) -> bool:
    """Whether this very broker answers a request at once."""
    try:
        await asyncio.wait_for(client.send(broker, MetadataRequest([])), ANSWER_SECONDS)
    except (KafkaError, TimeoutError):
        return False
    return True
