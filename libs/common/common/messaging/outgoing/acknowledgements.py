"""Waits for the acknowledgements of a delivery, and gives up partitions that hold up the others (ADR 0018)."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from aiokafka.structs import TopicPartition

from common.internals import aiokafka
from common.messaging.outgoing import cluster
from common.messaging.outgoing.delivery import Delivery, PartitionRows
from common.messaging.outgoing.holds import Partition
from common.messaging.outgoing.producer import Producer

# An idempotent producer never gives up by itself.
DELIVERY_SECONDS = 30
HURRIED_DELIVERY_SECONDS = 2
SECONDS_BETWEEN_CHECKS = 0.1


async def wait_for_acknowledgements(
    producer: Producer, sending: Sequence[PartitionRows], delivery: Delivery, *, patience: float, hurry: asyncio.Event
) -> None:
    """Until all have ended, were given up after `patience` seconds, or the time is over, which `hurry` shortens."""
    tasks = [each.task for each in sending if each.task is not None]
    if not tasks:
        return
    everything = asyncio.gather(*tasks, return_exceptions=True)
    hurried = asyncio.create_task(hurry.wait())
    either: set[asyncio.Future[Any]] = {everything, hurried}
    deadline = time.monotonic() + DELIVERY_SECONDS
    while not everything.done() and not hurried.done() and time.monotonic() < deadline:
        await asyncio.wait(either, timeout=SECONDS_BETWEEN_CHECKS, return_when=asyncio.FIRST_COMPLETED)
        _give_up_silent(producer, sending, delivery, patience)
    if hurried.done() and not everything.done():
        await asyncio.wait({everything}, timeout=HURRIED_DELIVERY_SECONDS)
    hurried.cancel()
    if not everything.done():
        delivery.failure = delivery.failure or "no acknowledgement in time"


def _give_up_silent(producer: Producer, sending: Sequence[PartitionRows], delivery: Delivery, patience: float) -> None:
    """Give up what has waited long enough; with it, where its broker says nothing at all, all that this broker leads.

    A cluster's only broker is waited for, unless it answers: no other could accept anything in the meantime.
    """
    client, now = producer.client, time.monotonic()
    for each in sending:
        if each.waits_since is None or now - each.waits_since < patience:
            continue
        broker = cluster.leader(client, each.partition)
        if _refuses_for_now(producer, each.partition, broker):
            delivery.unavailable[each.partition] = f"broker {broker} does not accept its events at the moment"
        elif cluster.has_other_brokers(client, broker):
            silent = [] if broker is None else cluster.led_by(client, broker)
            for partition in (each.partition, *silent):
                delivery.unavailable[partition] = "no leader" if broker is None else f"broker {broker} does not answer"
    for each in sending:
        if each.task is not None and each.partition in delivery.unavailable:
            each.task.cancel()


def _refuses_for_now(producer: Producer, partition: Partition, broker: int | None) -> bool:
    """Whether a connected broker has refused this partition's batch, as when replicas are missing; aiokafka then sends
    it again and again, without an error."""
    is_connected = aiokafka.is_connected(producer.client, broker)
    return is_connected and aiokafka.send_attempts(producer, TopicPartition(*partition)) > 1
