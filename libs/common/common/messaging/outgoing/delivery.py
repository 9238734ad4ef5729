"""The result of a relay's attempt to send outbox rows, and the rows of one partition while they are being sent."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from common import failpoints
from common.internals import aiokafka
from common.messaging.envelope import event_headers
from common.messaging.outgoing.holds import Partition
from common.messaging.outgoing.pending_events import Row
from common.messaging.outgoing.producer import Producer
from common.messaging.outgoing.producer_spans import ProducerSpans

# An idempotent producer never gives up by itself.
DELIVERY_SECONDS = 30
HURRIED_DELIVERY_SECONDS = 2
SECONDS_BETWEEN_CHECKS = 0.1
# Refusals that no repetition changes. A topic that is missing or forbidden is not among them: an operator can mend it.
_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError)


@dataclass(slots=True)
class Delivery:
    """The acknowledged rows are a prefix of every key's rows."""

    acknowledged: list[Row] = field(default_factory=list)
    refused: list[tuple[Row, str]] = field(default_factory=list)
    # Refused together with others: which of them Kafka refuses is seen when each is sent alone.
    suspects: list[Row] = field(default_factory=list)
    # The partitions that accept no records now, and why; for some of them there were no rows.
    unavailable: dict[Partition, str] = field(default_factory=dict)
    # The rows that wait for them, in their order.
    held_back: dict[Partition, list[Row]] = field(default_factory=dict)
    failure: str | None = None

    def hold_back(self, partition: Partition, rows: Iterable[Row]) -> None:
        self.held_back.setdefault(partition, []).extend(rows)


@dataclass(slots=True, eq=False)
class PartitionRows:
    """One partition's rows on their way, batch by batch. Rows whose position is in `alone` travel in a batch of their
    own; `may_send` is asked before each batch."""

    partition: Partition
    rows: Sequence[Row]
    acknowledged: int = 0
    waits_since: float | None = None  # by `time.monotonic()`, while a batch is not acknowledged
    task: "asyncio.Task[None] | None" = None

    @property
    def unsent(self) -> Sequence[Row]:
        return self.rows[self.acknowledged :]

    async def send(
        self,
        producer: Producer,
        source: str,
        delivery: Delivery,
        *,
        may_send: Callable[[], bool],
        alone: Collection[int],
    ) -> None:
        """Send batch after batch, the next only after the one before was acknowledged: none is ever overtaken."""
        topic, number = self.partition
        for batch, rows in _batches(producer, source, self.rows, alone):
            if not may_send():
                return
            self.waits_since = time.monotonic()
            spans = ProducerSpans(rows, self.partition)
            try:
                acknowledgement = await producer.send_batch(batch, topic, partition=number)
                failpoints.hit("relay.after_send_before_ack")
                await acknowledgement
            except _REFUSALS as error:
                delivery.failure = str(error)
                if len(rows) == 1:
                    delivery.refused.append((rows[0], str(error)))
                    spans.end(str(error))
                else:
                    delivery.suspects += rows
                return
            except KafkaError as error:
                if producer.is_broken:
                    delivery.failure = f"{topic}: {error!r}"
                else:
                    delivery.unavailable[self.partition] = repr(error)
                return
            finally:
                self.waits_since = None
            spans.end()
            delivery.acknowledged += rows
            self.acknowledged += len(rows)


def _batches(
    producer: Producer, source: str, rows: Iterable[Row], alone: Collection[int]
) -> Iterator[tuple[Any, list[Row]]]:
    """Fill batches one after the other; a row that does not fit begins the next one."""
    batch, in_batch = producer.create_batch(), list[Row]()
    for row in rows:
        key, value, headers = row["key"].encode(), row["payload"], event_headers(source, row)
        must_part = alone and in_batch and (row["position"] in alone or in_batch[-1]["position"] in alone)
        if must_part or batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            yield batch, in_batch
            batch, in_batch = producer.create_batch(), []
            batch.append(key=key, value=value, timestamp=None, headers=headers)
        in_batch.append(row)
    yield batch, in_batch


async def wait_for_acknowledgements(
    producer: Producer, sending: Sequence[PartitionRows], delivery: Delivery, *, patience: float, hurry: asyncio.Event
) -> None:
    """Until all have ended, were given up after `patience` seconds, or the time is over, which `hurry` shortens."""
    tasks = [each.task for each in sending if each.task is not None]
    if not tasks:
        return
    all_tasks = asyncio.gather(*tasks, return_exceptions=True)
    hurry_task = asyncio.create_task(hurry.wait())
    either: set[asyncio.Future[Any]] = {all_tasks, hurry_task}
    deadline = time.monotonic() + DELIVERY_SECONDS
    while not all_tasks.done() and not hurry_task.done() and time.monotonic() < deadline:
        await asyncio.wait(either, timeout=SECONDS_BETWEEN_CHECKS, return_when=asyncio.FIRST_COMPLETED)
        _give_up_silent(producer, sending, delivery, patience)
    if hurry_task.done() and not all_tasks.done():
        await asyncio.wait({all_tasks}, timeout=HURRIED_DELIVERY_SECONDS)
    hurry_task.cancel()
    if not all_tasks.done():
        delivery.failure = delivery.failure or "no acknowledgement in time"


def _give_up_silent(producer: Producer, sending: Sequence[PartitionRows], delivery: Delivery, patience: float) -> None:
    """Give up what has waited long enough; with it, where its broker says nothing at all, all that this broker leads.

    A cluster's only broker is waited for, unless it answers: no other could accept anything in the meantime.
    """
    now = time.monotonic()
    for each in sending:
        if each.waits_since is None or now - each.waits_since < patience:
            continue
        broker = producer.leader(each.partition)
        if _refuses_for_now(producer, each.partition, broker):
            delivery.unavailable[each.partition] = f"broker {broker} does not accept its events at the moment"
        elif producer.has_other_brokers(broker):
            silent = [] if broker is None else producer.led_by(broker)
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
