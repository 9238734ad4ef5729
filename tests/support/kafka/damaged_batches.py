"""Damage to batches in a broker's log files, as by a bad disk or a broken producer."""

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from aiokafka.record.util import calc_crc32c

FORMAT_AT, CHECKSUM_AT, ATTRIBUTES_AT, RECORDS_AT = 16, 17, 21, 61
UNKNOWN_CODEC = 7

Damage = Callable[[bytearray], None]


def flip_a_bit(batch: bytearray) -> None:
    batch[-3] ^= 0x10


def name_an_unknown_codec(batch: bytearray) -> None:
    batch[ATTRIBUTES_AT + 1] |= UNKNOWN_CODEC
    write_checksum(batch)


def name_an_unknown_format(batch: bytearray) -> None:
    batch[FORMAT_AT] = 3


def declare_compression(batch: bytearray) -> None:
    """Declare zstd for records that are not compressed."""
    batch[ATTRIBUTES_AT + 1] |= 4
    write_checksum(batch)


def garble_the_second_record(batch: bytearray) -> None:
    """The checksum stays valid, so that only parsing the records fails."""
    length = batch[RECORDS_AT] >> 1 if batch[RECORDS_AT] < 128 else None
    size = 1 + length if length is not None else 2 + ((batch[RECORDS_AT] & 0x7F | batch[RECORDS_AT + 1] << 7) >> 1)
    batch[RECORDS_AT + size : RECORDS_AT + size + 12] = b"\xff" * 12
    write_checksum(batch)


def write_checksum(batch: bytearray) -> None:
    struct.pack_into(">I", batch, CHECKSUM_AT, calc_crc32c(bytes(batch[ATTRIBUTES_AT:])))


DAMAGES: dict[str, Damage] = {
    "wrong checksum": flip_a_bit,
    "unknown codec": name_an_unknown_codec,
    "unknown format": name_an_unknown_format,
    "compression that is none": declare_compression,
}


def damage_batch(data: Path, topic: str, partition: int, offset: int, change: Damage) -> None:
    """Change the batch that starts at this offset."""
    file = _segment(data, topic, partition)
    at, batch = next((at, batch) for at, batch in _batches(file) if _offset(batch) == offset)
    changed = bytearray(batch)
    change(changed)
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.pwrite(descriptor, changed, at)
    finally:
        os.close(descriptor)


def batch_at(data: Path, topic: str, partition: int, offset: int) -> bytes:
    return next(batch for _, batch in _batches(_segment(data, topic, partition)) if _offset(batch) == offset)


def _segment(data: Path, topic: str, partition: int) -> Path:
    return data / f"{topic}-{partition}" / f"{0:020d}.log"


def _batches(file: Path) -> Iterator[tuple[int, bytes]]:
    content, at = file.read_bytes(), 0
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at + 8 : at + 12])
        yield at, content[at:end]
        at = end


def _offset(batch: bytes) -> int:
    return int.from_bytes(batch[:8])
