"""Records that wait for a lock of another transaction, while the records of other keys are processed (ADR 19)."""

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import TypeAlias

import structlog
from aiokafka import TopicPartition
from prometheus_client import Gauge

from common.database.transactions import FailuresLogged
from common.messaging.envelope import Record
from common.messaging.incoming.inbox import Inbox, RecordsLocked
from common.telemetry.rate_limited_log import RateLimitedLog

# As many may wait, or so many bytes of them; then nothing more is fetched from Kafka until some are processed.
MAX_RECORDS = 10_000
MAX_BYTES = 64 * 1024 * 1024

_log = structlog.get_logger(__name__)
_waiting = Gauge("consumer_waiting_records", "Records that wait for a lock held by another transaction")
_waiting_age = Gauge(
    "consumer_waiting_age_seconds",
    "For how long one record has waited for the lock of another transaction at most, or 0",
)

Key: TypeAlias = tuple[TopicPartition, bytes | None]


class WaitingRecords:
    """The records that wait, in their order per key, and the offsets that are not committed because of them.

    All of it belongs to one generation of the consumer group: when partitions are revoked, the waiting records are
    read again by the member that is assigned the partitions next.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._log = RateLimitedLog(_log)
        self._generation = 0
        self._queues: dict[Key, list[Record]] = {}
        # Since when the first record of each key has waited for the lock; those behind it wait for that record.
        self._since: dict[Key, float] = {}
        self._postponed: dict[TopicPartition, int] = {}
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        return self._count >= MAX_RECORDS or self._bytes >= MAX_BYTES

    @property
    def postponed(self) -> Mapping[TopicPartition, int]:
        """The offsets to commit as soon as nothing waits before them."""
        return dict(self._postponed)

    def enter(self, generation: int) -> None:
        """Forget everything if this is another generation than before."""
        if generation != self._generation:
            self._generation = generation
            self._queues = {}
            self._since = {}
            self._postponed = {}
            self._count = self._bytes = 0
            self._measure()

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            self._queues.setdefault(_key(record), []).append(record)
            self._since.setdefault(_key(record), monotonic())
            self._count += 1
            self._bytes += _size(record)
        self._measure()

    def split(self, records: Sequence[Record]) -> Sequence[Record]:
        """Those whose keys do not wait; the others join the queues of their keys."""
        if not self._queues:
            return records
        free_records = []
        for record in records:
            if _key(record) in self._queues:
                self.add([record])
            else:
                free_records.append(record)
        return free_records

    def limit(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Of each partition the offset, or that of the first record that waits in it if it is lower."""
        limits = dict(offsets)
        for (partition, _), queue in self._queues.items():
            if partition in limits:
                limits[partition] = min(limits[partition], queue[0].offset)
        return limits

    def committable(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """As `limit`; what it leaves out becomes `postponed`."""
        limits = self.limit(ends)
        for partition, end in ends.items():
            if limits[partition] < end:
                self._postponed[partition] = max(end, self._postponed.get(partition, 0))
            else:
                self._postponed.pop(partition, None)
        return limits

    async def retry(self) -> bool:
        """Process the waiting records again, as far as locks permit. Returns whether anything was processed."""
        before = self._count
        for key, queue in list(self._queues.items()):
            tried_count = len(queue)
            left_count = await self._process_queue(list(queue))
            if self._queues.get(key) is not queue:
                return False  # partitions were revoked meanwhile
            self._bytes -= sum(map(_size, queue[: tried_count - left_count]))
            del queue[: tried_count - left_count]
            self._count -= tried_count - left_count
            if left_count < tried_count:
                self._since[key] = monotonic()
            if not queue:
                del self._queues[key], self._since[key]
            elif left_count:
                self._report(key, queue)
        self._measure()
        return self._count < before

    def _measure(self) -> None:
        _waiting.set(self._count)
        _waiting_age.set(monotonic() - min(self._since.values()) if self._since else 0)

    async def _process_queue(self, records: Sequence[Record]) -> int:
        """Process one key's records in their order until one is locked; returns how many remain, counted from the
        end."""
        try:
            with FailuresLogged(_log.debug, "records that wait for a lock were not tried"):
                await self._inbox.process_each(records)
                return 0
        except RecordsLocked as error:
            return len(error.records)
        return len(records)

    def _report(self, key: Key, queue: Sequence[Record]) -> None:
        self._log.warning(
            "records wait for a lock that another transaction holds; other keys go on",
            about=key, topic=key[0].topic, partition=key[0].partition, offset=queue[0].offset, records=len(queue),
        )  # fmt: skip


def _key(record: Record) -> Key:
    return TopicPartition(record.topic, record.partition), record.key


def _size(record: Record) -> int:
    return len(record.value or b"")
