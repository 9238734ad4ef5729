"""Undocumented parts of aiokafka that we use or replace, as of version 0.14.0.

Each function says why the documented interface is not enough. `tests/common/internals/test_aiokafka.py` fails when one
of them no longer means what it did.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Sequence
from copy import copy
from functools import wraps
from typing import Any, cast

import aiokafka.client
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

# --- clients ---


def has_lost_metadata_task(client: AIOKafkaClient) -> bool:
    """Whether the task that refreshes the cluster's metadata has ended; then nobody refreshes it, and requests that
    need it wait for ever. uvloop ends it: it answers a write to a closed connection with a `RuntimeError`, which
    aiokafka does not expect."""
    return client._sync_task is not None and client._sync_task.done()


def forget_lost_metadata_task(client: AIOKafkaClient) -> None:
    """Let the client be closed: `close()` awaits the lost task, raises its error and leaves connections open."""
    if has_lost_metadata_task(client):
        client._sync_task = None


def bound_metadata_updates(client: AIOKafkaClient, seconds: float) -> None:
    """Give up a broker that does not answer a request for metadata within `seconds`; the next request goes to another.
    aiokafka waits for `request_timeout_ms`, and opens no connection to any broker meanwhile."""
    update = client._metadata_update

    async def bounded(cluster: Any, topics: Any) -> bool:
        try:
            return cast(bool, await asyncio.wait_for(update(cluster, topics), seconds))
        except TimeoutError:
            return False

    client._metadata_update = bounded


def is_connected(client: AIOKafkaClient, broker: int | None) -> bool:
    """Whether the connection to this broker is open. The client does not show its connections."""
    connection = client._conns.get((broker, ConnectionGroup.DEFAULT))
    return connection is not None and bool(connection.connected())


def abort_connections(client: AIOKafkaClient) -> None:
    """Drop what is not sent yet; `close()` of a connection waits until the transport has sent it."""
    for connection in client._conns.values():
        if connection.connected():
            connection._writer.transport.abort()


def close_cancelled_bootstraps() -> None:
    """Have clients close the connection of their first request for metadata when their start is cancelled during it.

    It is the only connection without `on_close`, belongs to no client yet, and would stay open.
    """
    create = aiokafka.client.create_conn
    if hasattr(create, "__wrapped__"):
        return

    @wraps(create)
    async def create_closing(*arguments: Any, **options: Any) -> Any:
        connection = await create(*arguments, **options)
        if options.get("on_close") is None:
            connection.send = _closing_when_cancelled(connection)
        return connection

    aiokafka.client.create_conn = create_closing


def _closing_when_cancelled(connection: Any) -> Callable[..., Coroutine[Any, Any, Any]]:
    send = connection.send

    async def send_or_close(*arguments: Any, **options: Any) -> Any:
        try:
            return await send(*arguments, **options)
        except asyncio.CancelledError:
            connection.close()
            raise

    return send_or_close


# --- producers ---


def track_requests(producer: AIOKafkaProducer) -> set[asyncio.Task[Any]]:
    """The tasks of the producer's requests under way, for as long as it lives; it keeps no list of them."""
    requests: set[asyncio.Task[Any]] = set()
    send = producer._sender._send_produce_req

    @wraps(send)
    async def tracked(*arguments: Any) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is in a task
        requests.add(task)
        try:
            await send(*arguments)
        finally:
            requests.discard(task)

    producer._sender._send_produce_req = tracked
    return requests


def sender_task(producer: AIOKafkaProducer) -> "asyncio.Task[None] | None":
    """The task that sends all batches. Once it has ended, no partition gets anything through this producer."""
    return cast("asyncio.Task[None] | None", producer._sender.sender_task)


def mark_closed(producer: AIOKafkaProducer) -> None:
    """Make a producer that was stopped without its `stop()` neither warn when it is collected nor accept records."""
    producer._closed = True


def send_attempts(producer: AIOKafkaProducer, partition: TopicPartition) -> int:
    """How often the partition's batch under way was handed to a broker; retries are visible nowhere else."""
    accumulator = producer._message_accumulator
    retried_batches = (batch for batch in accumulator._pending_batches if batch.tp == partition)
    return max((batch.retry_count for batch in (*accumulator._batches.get(partition, ()), *retried_batches)), default=0)


# --- consumers ---


def has_lost_task(consumer: AIOKafkaConsumer) -> bool:
    """Whether a background task has ended. The consumer then seems alive, and reads or commits nothing."""
    tasks = (consumer._coordinator._coordination_task, consumer._fetcher._fetch_task)
    return any(task.done() for task in tasks) or has_lost_metadata_task(consumer._client)


def client_of(consumer: AIOKafkaConsumer) -> AIOKafkaClient:
    return consumer._client


def fetch_positions(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
    """The offset that is read next in each assigned partition where it is known. `position()` waits until it is."""
    subscription = consumer._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    if assignment is None:
        return {}
    states = {partition: assignment.state_value(partition) for partition in assignment.tps}
    return {partition: state.position for partition, state in states.items() if state.has_valid_position}


async def end_of_log(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """The partitions' ends for all readers. `end_offsets()` of a consumer that reads committed records only is the
    beginning of the first open transaction. Raises `KafkaError`."""
    uncommitted_fetcher = copy(consumer._fetcher)
    uncommitted_fetcher._isolation_level = fetcher.READ_UNCOMMITTED
    ends: dict[TopicPartition, int] = await uncommitted_fetcher.end_offsets(partitions, consumer._request_timeout_ms)
    return ends


_PartitionRecords: Any = fetcher.PartitionRecords


class BatchwiseRecords(_PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """The fetched records of one partition, where a batch that cannot be decoded is replaced by one record.

    aiokafka raises in the middle of `getmany()`: it loses what it had taken from other partitions in that call, and
    fetches the same bytes again for ever.
    """

    _records: Any
    next_fetch_offset: int

    @abstractmethod
    def check(self, batch: bytes) -> None:
        """Raise if the batch must not be decoded."""

    @abstractmethod
    def replace(
        self, partition: TopicPartition, batch: bytes, first: int, following: int | None, error: Exception
    ) -> tuple[object, int]:
        """The record in place of this batch, of which nothing before the offset `first` is to be read, and the offset
        after it. `following` is the first offset of the next batch."""

    def _unpack_records(self) -> Iterator[Any]:
        batches = self._records
        while batches.has_next():
            batch = batches.next_batch()
            try:
                self.check(batch)
                self._records = MemoryRecords(batch)
                yield from super()._unpack_records()
            except Exception as error:  # a decoder raises errors of any type for broken bytes
                place = TopicPartition(*self._tp)
                record, end = self.replace(place, batch, self.next_fetch_offset, batches.next_offset(), error)
                self.next_fetch_offset = end
                yield record


def fetch_batchwise(batches: Callable[[bytes], object], records: type[BatchwiseRecords]) -> None:
    """Have all consumers of this process split fetched bytes by `batches`, and decode each batch by `records`.

    `batches` has the methods of `MemoryRecords` that the fetcher calls, and `next_offset`.
    """
    fetcher.MemoryRecords = batches
    fetcher.PartitionRecords = records


def decode_batch(batch: bytes, partition: TopicPartition, first: int) -> list[ConsumerRecord]:
    """The batch's records from the offset `first` on. Broken bytes can raise errors of any type."""
    return list(_PartitionRecords(partition, MemoryRecords(batch), [], first, None, None, True, 0))
