"""Proofs of the audit log: that a chain's head is in the log of a checkpoint, and that a log continues another."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from typing_extensions import TypedDict

from common.audit.checkpoint import Checkpoint
from common.audit.entries import COLUMNS
from common.audit.export import row_item
from common.audit.merkle import (
    LEVELS_PER_TILE,
    Node,
    Range,
    complete_subtrees,
    consistency_ranges,
    inclusion_ranges,
    joined,
    leaf_hash,
    node_hash,
)
from common.database.statements import Connection, array_rows, prepare
from common.database.tables import audit, audit_checkpoints, audit_leaves, audit_nodes
from common.errors import Problem

MOST_ROWS = 1000


class SealedHead(TypedDict):
    """A leaf of the Merkle log: the number and the hash of the last audit row of an entity at the time of sealing."""

    index: int
    position: int
    hash: str


class HistoryProof(TypedDict):
    """`proof` has the hashes from the leaf to the root of the checkpoint, the lowest first (RFC 9162, 2.1.3).

    `rows` are the audit rows before and including the head, the latest thousand, as in an export without texts: their
    hashes lead to the head's. `unsealed_rows` counts the rows after it.
    """

    checkpoint: str
    head: SealedHead
    proof: list[str]
    rows: list[dict[str, Any]]
    unsealed_rows: int


class ConsistencyProof(TypedDict):
    """`proof` has the hashes of RFC 9162, 2.1.4; both checkpoints are in it."""

    earlier: str
    later: str
    proof: list[str]


_LATEST = prepare(
    sa.select(audit_checkpoints.c.note).order_by(audit_checkpoints.c.size.desc()).limit(sa.literal_column("1"))
)
_OF_SIZE = prepare(sa.select(audit_checkpoints.c.note).where(audit_checkpoints.c.size == sa.bindparam("size")))


def _of_entity(table: sa.Table) -> sa.ColumnElement[bool]:
    is_type = table.c.entity_type == sa.bindparam("entity_type", type_=sa.Text)
    return is_type & (table.c.entity_id == sa.bindparam("entity_id", type_=sa.Uuid))


_last_position = sa.select(sa.func.max(audit.c.position)).where(_of_entity(audit)).scalar_subquery()
_HEAD = prepare(
    sa.select(audit_leaves.c.index, audit_leaves.c.position, audit_leaves.c.hash, _last_position.label("last"))
    .where(_of_entity(audit_leaves), audit_leaves.c.index < sa.bindparam("size", type_=sa.BigInteger))
    .order_by(audit_leaves.c.position.desc())
    .limit(sa.literal_column("1"))
)
_ROWS = prepare(
    sa.select(*COLUMNS)
    .where(_of_entity(audit), audit.c.position.between(sa.bindparam("first"), sa.bindparam("last")))
    .order_by(audit.c.position)
)
_leaf_range = array_rows("leaf_range", first=sa.BigInteger, end=sa.BigInteger)
_LEAVES = prepare(
    sa.select(audit_leaves).join(
        _leaf_range, (audit_leaves.c.index >= _leaf_range.c.first) & (audit_leaves.c.index < _leaf_range.c.end)
    )
)
_node_range = array_rows("node_range", level=sa.SmallInteger, first=sa.BigInteger, end=sa.BigInteger)
_NODES = prepare(
    sa.select(audit_nodes).join(
        _node_range,
        (audit_nodes.c.level == _node_range.c.level)
        & (audit_nodes.c.index >= _node_range.c.first)
        & (audit_nodes.c.index < _node_range.c.end),
    )
)


async def prove_history(connection: Connection, entity_type: str, entity_id: UUID) -> HistoryProof:
    """By the latest checkpoint. Raises `Problem` NOT_FOUND until the entity is sealed."""
    entity = {"entity_type": entity_type, "entity_id": entity_id}
    note = await _LATEST.fetch_value(connection)
    size = 0 if note is None else Checkpoint.parse(note).size
    head = await _HEAD.fetch_one(connection, **entity, size=size)
    if head is None:
        raise Problem.not_found(f"proof of {entity_type.lower()}", entity_id)
    first = max(head["position"] - MOST_ROWS + 1, 1)
    rows = await _ROWS.fetch_all(connection, **entity, first=first, last=head["position"])
    return {
        "checkpoint": note,
        "head": {"index": head["index"], "position": head["position"], "hash": head["hash"].hex()},
        "proof": await _hashes(connection, inclusion_ranges(head["index"], size)),
        "rows": [row_item(row, with_details=False) for row in rows],
        "unsealed_rows": max((head["last"] or 0) - head["position"], 0),
    }


async def prove_consistency(connection: Connection, earlier_size: int, size: int | None) -> ConsistencyProof:
    """From one checkpoint to a later one, the latest if None. Raises `Problem` NOT_FOUND."""
    earlier = await _OF_SIZE.fetch_value(connection, size=earlier_size)
    later = await (_LATEST.fetch_value(connection) if size is None else _OF_SIZE.fetch_value(connection, size=size))
    if earlier is None or later is None or Checkpoint.parse(later).size < earlier_size:
        raise Problem.not_found("checkpoint", f"{earlier_size} before {size}")
    ranges = consistency_ranges(earlier_size, Checkpoint.parse(later).size)
    return {"earlier": earlier, "later": later, "proof": await _hashes(connection, ranges)}


async def _hashes(connection: Connection, ranges: list[Range]) -> list[str]:
    """The roots of the subtrees over these leaves."""
    subtrees = {node for leaves in ranges for node in complete_subtrees(leaves)}
    stored = [(level // LEVELS_PER_TILE * LEVELS_PER_TILE, level, index) for level, index in subtrees]
    below = [(tile, index << (level - tile), (index + 1) << (level - tile)) for tile, level, index in stored]
    leaves = [(first, end) for tile, first, end in below if tile == 0]
    nodes = [each for each in below if each[0]]
    hashes: dict[Node, bytes] = {}
    for leaf in await _LEAVES.fetch_all(
        connection, firsts=[each[0] for each in leaves], ends=[each[1] for each in leaves]
    ):
        index, *sealed = leaf.values()
        hashes[0, index] = leaf_hash(*sealed)
    arrays = {"levels": [each[0] for each in nodes], "firsts": [each[1] for each in nodes]}
    for node in await _NODES.fetch_all(connection, **arrays, ends=[each[2] for each in nodes]):
        hashes[node["level"], node["index"]] = node["hash"]
    return [joined(_root(hashes, node) for node in complete_subtrees(leaves)).hex() for leaves in ranges]


def _root(hashes: Mapping[Node, bytes], node: Node) -> bytes:
    """Of a complete subtree, from those of the stored level below it. Raises `KeyError` where the log has a gap."""
    level, index = node
    if level % LEVELS_PER_TILE == 0:
        return hashes[node]
    return node_hash(_root(hashes, (level - 1, 2 * index)), _root(hashes, (level - 1, 2 * index + 1)))
