"""Records that wait for a lock that somebody else holds, while the records of other keys are taken in (ADR 0019)."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import structlog
from aiokafka import TopicPartition
from prometheus_client import Gauge

from common.database.transactions import is_connection_failure
from common.messaging.envelope import Record
from common.messaging.incoming.inbox import HeldUp, Inbox
from common.telemetry.rate_limited_log import RateLimitedLog

# As many may wait, or so many bytes of them; then no more are taken from Kafka until some are through.
MOST = 10_000
MOST_BYTES = 64 * 1024 * 1024

_log = structlog.get_logger(__name__)
_waiting = Gauge("consumer_waiting_records", "Records that wait for a lock held by another transaction")

Key: TypeAlias = tuple[TopicPartition, bytes | None]


class WaitingRecords:
    """The records of one generation of the consumer group that wait, in their order per key.

    Offsets may be committed up to the first that waits in a partition, no further.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._log = RateLimitedLog(_log)
        self._queues: dict[Key, list[Record]] = {}
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        return self._count >= MOST or self._bytes >= MOST_BYTES

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            self._queues.setdefault(_key(record), []).append(record)
            self._count += 1
            self._bytes += _size(record)
        _waiting.set(self._count)

    def clear(self) -> None:
        """When the partitions change hands: what waits comes again, to whoever has them then."""
        self._queues = {}
        self._count = self._bytes = 0
        _waiting.set(0)

    def split(self, records: Sequence[Record]) -> Sequence[Record]:
        """Those whose keys do not wait; the others join the queues of their keys."""
        if not self._queues:
            return records
        free = []
        for record in records:
            if _key(record) in self._queues:
                self.add([record])
            else:
                free.append(record)
        return free

    def limit(self, partition: TopicPartition, offset: int) -> int:
        """The offset, or that of the first record that waits in the partition if it is lower."""
        firsts = (queue[0].offset for (place, _), queue in self._queues.items() if place == partition)
        return min([offset, *firsts])

    async def retry(self) -> bool:
        """Try what waits once more. Returns whether anything was taken in."""
        before = self._count
        for key, queue in list(self._queues.items()):
            given = len(queue)
            try:
                await self._inbox.accept_each(list(queue))
                left = 0
            except HeldUp as error:
                left = len(error.records)
            except Exception as error:
                if not is_connection_failure(error):
                    raise
                left = given
            if self._queues.get(key) is not queue:
                return False  # the partitions changed hands meanwhile
            self._bytes -= sum(map(_size, queue[: given - left]))
            del queue[: given - left]
            self._count -= given - left
            if not queue:
                del self._queues[key]
            elif left:
                self._tell(key, queue)
        _waiting.set(self._count)
        return self._count < before

    def _tell(self, key: Key, queue: Sequence[Record]) -> None:
        self._log.warning(
            "records wait for a lock that another transaction holds; other keys go on",
            about=key, topic=key[0].topic, partition=key[0].partition, offset=queue[0].offset, records=len(queue),
        )  # fmt: skip


def _key(record: Record) -> Key:
    return TopicPartition(record.topic, record.partition), record.key


def _size(record: Record) -> int:
    return len(record.value or b"")
