"""Kafka's default partitioner: the partition of a topic that has a key's events."""

import struct

_SEED, _M, _32_BITS = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


def partition_of(key: str, partitions: int) -> int:
    """Raises `ZeroDivisionError` for a topic without partitions."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """MurmurHash2 as Kafka's clients seed it. aiokafka's own takes three times as long (ADR 4)."""
    digest = _SEED ^ len(data)
    words, rest = divmod(len(data), 4)
    for word in struct.unpack_from(f"<{words}I", data):
        word = word * _M & _32_BITS
        digest = (digest * _M & _32_BITS) ^ ((word ^ word >> 24) * _M & _32_BITS)
    if rest:
        digest = (digest ^ int.from_bytes(data[-rest:], "little")) * _M & _32_BITS
    digest = (digest ^ digest >> 13) * _M & _32_BITS
    return digest ^ digest >> 15
