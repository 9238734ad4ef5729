"""The batches of records that a broker sends, decoded one by one, so that none holds up those behind it (ADR 0019).

aiokafka gives up at the first batch that it cannot decode: it reads the same bytes again for ever, and loses what it
had taken from other partitions in the same call. Here such a batch becomes a record of its own kind.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from common.messaging.envelope import Record, UnreadableRecord

KNOWN_FORMATS = (0, 1, 2)
_PREFIX = struct.Struct(">qi")  # base offset, length of what follows
_FORMAT_AT = 16
# Of format 2, from the length on: leader epoch, format, checksum, attributes, last offset's distance from the base
# offset, first and last time, producer's id and epoch, sequence, number of records.
_HEADER = struct.Struct(">ibIhiqqqhii")
_FORMAT, _CHECKSUM, _LAST_DISTANCE, _LAST_TIME, _COUNT = 1, 2, 4, 6, 10
_CHECKED_FROM = 21
_PartitionRecords: Any = fetcher.PartitionRecords


@dataclass(frozen=True, slots=True)
class UndecodableBatch:
    """A batch that cannot be decoded, from `offset` to `last_offset`, in the place of its records.

    `value` has the bytes of the whole batch, as they are in Kafka's log.
    """

    topic: str
    partition: int
    offset: int
    last_offset: int
    timestamp: int
    value: bytes
    error: str
    key: None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Batches:
    """What a broker sent of one partition, as a sequence of batches; the last one may be cut off."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        return self._end() is not None

    def next_batch(self) -> bytes:
        batch = self._data[self._at : self._end()]
        self._at += len(batch)
        return batch

    def next_offset(self) -> int | None:
        """The first offset of the next batch, as far as its beginning is there."""
        found = self._prefix()
        return None if found is None else found[0]

    def _end(self) -> int | None:
        found = self._prefix()
        if found is None or found[1] < 0:
            return None
        end = self._at + _PREFIX.size + found[1]
        return end if end <= len(self._data) else None

    def _prefix(self) -> tuple[int, int] | None:
        if len(self._data) - self._at < _PREFIX.size:
            return None
        offset, length = _PREFIX.unpack_from(self._data, self._at)
        return offset, length


class SteppingRecords(_PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """aiokafka's records of one partition, which step over what cannot be decoded, and say so."""

    _records: Any
    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Any]:
        batches: Batches = self._records
        while batches.has_next():
            batch = batches.next_batch()
            try:
                self._records = _decoder(batch)
                yield from super()._unpack_records()
            except Exception as error:  # whatever bytes can do to a decoder
                place = TopicPartition(*self._tp)
                undecodable = _undecodable(place, batch, self.next_fetch_offset, batches.next_offset(), error)
                self.next_fetch_offset = undecodable.last_offset + 1
                yield undecodable


def install() -> None:
    """Have aiokafka's consumers of this process decode with the classes above."""
    fetcher.MemoryRecords = Batches
    fetcher.PartitionRecords = SteppingRecords


def decode(batch: bytes, topic: str, partition: int) -> list[Any]:
    """The records of a batch that was kept because it could not be decoded. Raises `UnreadableRecord`."""
    first, _ = _PREFIX.unpack_from(batch)
    try:
        return list(
            _PartitionRecords(TopicPartition(topic, partition), _decoder(batch), [], first, None, None, True, 0)
        )
    except Exception as error:
        raise UnreadableRecord(repr(error)) from error


def ends_of(records: Iterable[Record | UndecodableBatch]) -> dict[TopicPartition, int]:
    """The offsets after these very records."""
    ends: dict[TopicPartition, int] = {}
    for record in records:
        last = record.last_offset if isinstance(record, UndecodableBatch) else record.offset
        ends[TopicPartition(record.topic, record.partition)] = last + 1
    return ends


def _decoder(batch: bytes) -> Any:
    format_ = batch[_FORMAT_AT] if len(batch) > _FORMAT_AT else None
    if format_ not in KNOWN_FORMATS:  # aiokafka reads any later one as format 2
        raise CorruptRecordException(f"Unknown format of a batch: {format_}")
    return MemoryRecords(batch)


def _undecodable(
    place: TopicPartition, batch: bytes, position: int, following: int | None, error: Exception
) -> UndecodableBatch:
    base, _ = _PREFIX.unpack_from(batch)
    first = max(base, position)
    end, time = _end_and_time(base, batch)
    if end is None or end <= first:
        end = first + 1
    if following is not None and following > first:
        end = min(end, following) if end > first + 1 else following
    return UndecodableBatch(place.topic, place.partition, first, end - 1, time, batch, repr(error))


def _end_and_time(base: int, batch: bytes) -> tuple[int | None, int]:
    """The offset after the batch, where its header can be believed, and the time of its last record in milliseconds.

    Without a right checksum the two numbers that tell the end have to agree: one that is damaged must not lead past
    records that are not.
    """
    if len(batch) < _PREFIX.size + _HEADER.size:
        return None, 0
    header = _HEADER.unpack_from(batch, _PREFIX.size)
    if header[_FORMAT] in (0, 1):
        return base + 1, 0
    count = header[_LAST_DISTANCE] + 1
    is_sound = calc_crc32c(batch[_CHECKED_FROM:]) == header[_CHECKSUM] or header[_COUNT] == count
    return (base + count if is_sound and count > 0 else None), max(header[_LAST_TIME], 0)
