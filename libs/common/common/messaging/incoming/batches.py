"""Decodes Kafka's record batches one by one; one that cannot be decoded becomes an `UndecodableBatch` (ADR 19)."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import CorruptRecordException
from aiokafka.record.util import calc_crc32c

from common.internals import aiokafka
from common.messaging.envelope import Record, UnreadableRecord

KNOWN_FORMATS = (0, 1, 2)
_PREFIX = struct.Struct(">qi")  # base offset, length of what follows
_FORMAT_AT = 16
# Of format 2, from the length on: leader epoch, format, checksum, attributes, last offset's distance from the base
# offset, first and last time, producer's id and epoch, sequence, number of records.
_HEADER = struct.Struct(">ibIhiqqqhii")
_FORMAT, _CHECKSUM, _LAST_DISTANCE, _LAST_TIME, _COUNT = 1, 2, 4, 6, 10
_CHECKED_FROM = 21


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


class FetchedBatches:
    """The bytes that a broker sent of one partition, as a sequence of batches; the last one may be cut off."""

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
        """The first offset of the next batch, if its beginning was sent."""
        prefix = self._prefix()
        return None if prefix is None else prefix[0]

    def _end(self) -> int | None:
        prefix = self._prefix()
        if prefix is None or prefix[1] < 0:
            return None
        end = self._at + _PREFIX.size + prefix[1]
        return end if end <= len(self._data) else None

    def _prefix(self) -> tuple[int, int] | None:
        if len(self._data) - self._at < _PREFIX.size:
            return None
        offset, length = _PREFIX.unpack_from(self._data, self._at)
        return offset, length


class FetchedRecords(aiokafka.BatchwiseRecords):
    """The fetched records of one partition, with an `UndecodableBatch` for each batch that cannot be decoded."""

    def check(self, batch: bytes) -> None:
        _check_format(batch)

    def replace(
        self, partition: TopicPartition, batch: bytes, first: int, following: int | None, error: Exception
    ) -> tuple[UndecodableBatch, int]:
        base, _ = _PREFIX.unpack_from(batch)
        first = max(base, first)
        end, time = _end_and_time(base, batch)
        if end is None or end <= first:
            end = first + 1
        if following is not None and following > first:
            end = min(end, following) if end > first + 1 else following
        return UndecodableBatch(partition.topic, partition.partition, first, end - 1, time, batch, repr(error)), end


def install() -> None:
    """Have all Kafka consumers of this process decode batches with `FetchedBatches` and `FetchedRecords`."""
    aiokafka.fetch_batchwise(FetchedBatches, FetchedRecords)


def decode(batch: bytes, topic: str, partition: int) -> list[ConsumerRecord]:
    """The records of a batch that could not be decoded before. Raises `UnreadableRecord`."""
    first, _ = _PREFIX.unpack_from(batch)
    try:
        _check_format(batch)
        return aiokafka.decode_batch(batch, TopicPartition(topic, partition), first)
    except Exception as error:
        raise UnreadableRecord(repr(error)) from error


def ends_of(records: Iterable[Record | UndecodableBatch]) -> dict[TopicPartition, int]:
    """The offset after the last of these records in each partition."""
    ends: dict[TopicPartition, int] = {}
    for record in records:
        last = record.last_offset if isinstance(record, UndecodableBatch) else record.offset
        ends[TopicPartition(record.topic, record.partition)] = last + 1
    return ends


def _check_format(batch: bytes) -> None:
    format_ = batch[_FORMAT_AT] if len(batch) > _FORMAT_AT else None
    if format_ not in KNOWN_FORMATS:  # aiokafka reads any later one as format 2
        raise CorruptRecordException(f"Unknown format of a batch: {format_}")


def _end_and_time(base: int, batch: bytes) -> tuple[int | None, int]:
    """The offset after the batch, or None if its header is damaged there, and the last record's time in milliseconds.

    Without a right checksum the two numbers that tell the end have to agree: a damaged number must not lead past
    records that are sound.
    """
    if len(batch) < _PREFIX.size + _HEADER.size:
        return None, 0
    header = _HEADER.unpack_from(batch, _PREFIX.size)
    if header[_FORMAT] in (0, 1):
        return base + 1, 0
    count = header[_LAST_DISTANCE] + 1
    is_sound = calc_crc32c(batch[_CHECKED_FROM:]) == header[_CHECKSUM] or header[_COUNT] == count
    return (base + count if is_sound and count > 0 else None), max(header[_LAST_TIME], 0)
