"""The Merkle tree of RFC 9162 (and RFC 6962): hashes of leaves and nodes, the root of a growing log, and its proofs."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import TypeAlias
from uuid import UUID

HASH_SIZE = 32
# The roots of complete subtrees are stored at every eighth level.
LEVELS_PER_TILE = 8

# The leaves with these indexes, the second one excluded.
Range: TypeAlias = tuple[int, int]
# The root of a complete subtree: its level, and its place on this level.
Node: TypeAlias = tuple[int, int]

_encode = json.JSONEncoder(separators=(",", ":")).encode


def leaf_hash(entity_type: str, entity_id: UUID, position: int, row_hash: bytes) -> bytes:
    """The hash of the leaf that seals the audit row at this position. A first byte separates leaves from nodes."""
    sealed_values = [entity_type, str(entity_id), position, row_hash.hex()]
    return hashlib.sha256(b"\0" + _encode(sealed_values).encode()).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def joined(hashes: Iterable[bytes]) -> bytes:
    """The root over subtrees, of which the first is the largest. Of none it is the hash of nothing."""
    from_the_right = list(hashes)[::-1]
    if not from_the_right:
        return hashlib.sha256(b"").digest()
    return reduce(lambda right, left: node_hash(left, right), from_the_right)


class Frontier:
    """A growing log, of which only the roots of its complete subtrees are kept: one for each bit of its size."""

    def __init__(self, size: int = 0, stored: bytes = b"") -> None:
        """`stored` is what `__bytes__` gave at this size."""
        self.size = size
        self._roots = [stored[start : start + HASH_SIZE] for start in range(0, len(stored), HASH_SIZE)]

    def __bytes__(self) -> bytes:
        return b"".join(self._roots)

    @property
    def root(self) -> bytes:
        return joined(self._roots)

    def append(self, leaf: bytes) -> Iterator[tuple[Node, bytes]]:
        """Add a leaf's hash; yields the subtrees of stored levels that it completes. It must be read to the end."""
        node, level, index = leaf, 0, self.size
        while index & 1:
            node, level, index = node_hash(self._roots.pop(), node), level + 1, index >> 1
            if level % LEVELS_PER_TILE == 0:
                yield (level, index), node
        self._roots.append(node)
        self.size += 1


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees of the proof that leaf `index` is in the log of this size, the lowest first."""
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        ranges.append((middle, end) if index < middle else (start, middle))
        start, end = (start, middle) if index < middle else (middle, end)
    return ranges[::-1]


def consistency_ranges(earlier_size: int, size: int) -> list[Range]:
    """The subtrees of the proof that the log of `earlier_size`, at least 1, is the beginning of that of `size`."""
    ranges: list[Range] = []
    start, end = 0, size
    while earlier_size < end:
        middle = start + _split(end - start)
        ranges.append((middle, end) if earlier_size <= middle else (start, middle))
        start, end = (start, middle) if earlier_size <= middle else (middle, end)
    return [*([(start, end)] if start else []), *ranges[::-1]]


def complete_subtrees(leaves: Range) -> Iterator[Node]:
    """The complete subtrees of which a subtree consists, the largest first."""
    start, end = leaves
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
