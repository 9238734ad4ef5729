"""The Merkle tree has the roots and proofs of RFC 6962, whatever its size."""

import hashlib
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from common.audit.checkpoint import Checkpoint, SigningKey, is_signed, unsigned
from common.audit.merkle import (
    Frontier,
    Range,
    complete_subtrees,
    consistency_ranges,
    inclusion_ranges,
    joined,
    node_hash,
)

# The leaves and the root of the test vector of RFC 6962's authors (certificate-transparency, merkle_tree_test.cc).
VECTOR = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    bytes(range(0x50, 0x58)),
    bytes(range(0x60, 0x70)),
]
ROOT_OF_EIGHT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def hashed(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(root_by_definition(leaves[:k]), root_by_definition(leaves[k:]))


LEAVES = [hashed(str(number).encode()) for number in range(70)]


def frontier_of(leaves: list[bytes]) -> Frontier:
    frontier = Frontier()
    for leaf in leaves:
        list(frontier.append(leaf))
    return frontier


def root_of(leaves: Range) -> bytes:
    """From complete subtrees, as the proofs of the service are made."""
    return joined(root_by_definition(LEAVES[i << level : (i + 1) << level]) for level, i in complete_subtrees(leaves))


def test_the_root_is_that_of_the_test_vector() -> None:
    assert frontier_of([hashed(each) for each in VECTOR]).root.hex() == ROOT_OF_EIGHT


def test_the_frontier_has_the_root_by_definition_at_every_size_and_after_storing() -> None:
    frontier = Frontier()
    for size, leaf in enumerate(LEAVES):
        assert frontier.root == root_by_definition(LEAVES[:size])
        list(frontier.append(leaf))
        frontier = Frontier(frontier.size, bytes(frontier))


def test_complete_subtrees_of_stored_levels_are_given_once() -> None:
    frontier = Frontier()
    given = [given for number in range(600) for given in frontier.append(hashed(str(number).encode()))]
    leaves = [hashed(str(number).encode()) for number in range(600)]
    assert given == [((8, 0), root_by_definition(leaves[:256])), ((8, 1), root_by_definition(leaves[256:512]))]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 13, 64, 70])
def test_every_leaf_is_proven_to_be_in_the_log(size: int) -> None:
    for index in range(size):
        root = LEAVES[index]
        for start, end in inclusion_ranges(index, size):
            other = root_of((start, end))
            root = node_hash(root, other) if index < start else node_hash(other, root)
        assert root == root_by_definition(LEAVES[:size])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 13, 64, 70])
def test_every_earlier_log_is_proven_to_be_the_beginning(size: int) -> None:
    for earlier in range(1, size + 1):
        proof = [root_of(each) for each in consistency_ranges(earlier, size)]
        assert roots_by_proof(earlier, size, root_by_definition(LEAVES[:earlier]), proof) == (
            root_by_definition(LEAVES[:earlier]),
            root_by_definition(LEAVES[:size]),
        )


def roots_by_proof(earlier: int, size: int, earlier_root: bytes, proof: list[bytes]) -> tuple[bytes, bytes]:
    """The algorithm of RFC 9162, 2.1.4.2: the roots of both logs as the proof has them."""
    if earlier == size:
        return earlier_root, earlier_root
    path = [earlier_root, *proof] if earlier & (earlier - 1) == 0 else proof
    fn, sn = earlier - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for each in path[1:]:
        if fn & 1 or fn == sn:
            fr, sr = node_hash(each, fr), node_hash(each, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, each)
        fn, sn = fn >> 1, sn >> 1
    return fr, sr


KEY, OTHER_KEY = (SigningKey(b64encode(bytes([number]) * 32).decode()) for number in (1, 2))
CHECKPOINT = Checkpoint("articurated/orders/1", 70, root_of((0, 70)), datetime(2026, 11, 29, 18, tzinfo=UTC))


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    assert Checkpoint.parse(KEY.sign(CHECKPOINT)) == CHECKPOINT
    assert Checkpoint.parse(unsigned(CHECKPOINT)) == CHECKPOINT


def test_only_an_unchanged_checkpoint_is_signed_by_the_key() -> None:
    note = KEY.sign(CHECKPOINT)
    assert is_signed(note, KEY.public)
    assert not is_signed(note, OTHER_KEY.public)
    assert not is_signed(note.replace("\n70\n", "\n71\n"), KEY.public)
    assert not is_signed(unsigned(CHECKPOINT), KEY.public)
    assert not is_signed(note[:-10], KEY.public)
