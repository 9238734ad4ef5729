"""Verification of the Merkle log of the audit trail: leaves without rows, roots, signatures, stored checkpoints."""

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Any, TypeAlias

import sqlalchemy as sa

from common.audit.checkpoint import Checkpoint, SigningKey, is_signed
from common.audit.checkpoint_store import CheckpointFolder
from common.audit.merkle import Frontier, leaf_hash
from common.database.statements import Connection, Record, prepare
from common.database.tables import audit, audit_checkpoints, audit_leaves
from common.operators.audit_problems import Problems
from common.service import Runtime

_SizedNote: TypeAlias = tuple[int, str]

_AT_ONCE = 500
_is_of_entity = (audit.c.entity_type == audit_leaves.c.entity_type) & (audit.c.entity_id == audit_leaves.c.entity_id)
_has_row = sa.exists().where(_is_of_entity, audit.c.position == audit_leaves.c.position)
_LEAVES = prepare(
    sa.select(audit_leaves, _has_row.label("has_row"))
    .where(audit_leaves.c.index >= sa.bindparam("first"))
    .order_by(audit_leaves.c.index)
    .limit(sa.literal_column(str(_AT_ONCE)))
)
_LAST_POSITION = prepare(
    sa.select(sa.func.max(audit.c.position)).where(
        audit.c.entity_type == sa.bindparam("entity_type"), audit.c.entity_id == sa.bindparam("entity_id")
    )
)
_CHECKPOINTS = prepare(
    sa.select(audit_checkpoints.c.size, audit_checkpoints.c.note)
    .where(audit_checkpoints.c.size > sa.bindparam("after"), audit_checkpoints.c.size <= sa.bindparam("to"))
    .order_by(audit_checkpoints.c.size)
)
_OF_SIZES = prepare(
    sa.select(audit_checkpoints.c.size, audit_checkpoints.c.note).where(
        audit_checkpoints.c.size == sa.any_(sa.bindparam("sizes", type_=sa.ARRAY(sa.BigInteger)))
    )
)
_LAST_CHECKPOINT = prepare(sa.select(sa.func.max(audit_checkpoints.c.size)))


class LogCheck:
    """Adds what it finds to `problems`."""

    def __init__(self, connection: Connection, problems: Problems, key: SigningKey | None) -> None:
        self._connection = connection
        self._problems = problems
        self._public_key = None if key is None else key.public
        self._good_size = 0
        self.leaves = self.checkpoints = self.stored_checkpoints = 0

    async def check_leaves(self, state: Record) -> None:
        """Each leaf has its row, and the log has the root of each checkpoint of the database."""
        frontier = Frontier()
        while leaves := await _LEAVES.fetch_all(self._connection, first=frontier.size):
            last = frontier.size + len(leaves)
            notes = await _CHECKPOINTS.fetch_all(self._connection, after=frontier.size, to=last)
            notes_by_size = {row["size"]: row["note"] for row in notes}
            for leaf in leaves:
                if leaf["index"] != frontier.size:
                    self._problems.add("rewritten", None, f"leaf {frontier.size} of the log is missing")
                    return
                await self._check_row(leaf)
                sealed = (leaf["entity_type"], leaf["entity_id"], leaf["position"], leaf["hash"])
                for _ in frontier.append(leaf_hash(*sealed)):
                    pass
                if frontier.size in notes_by_size:
                    self._check_note(notes_by_size[frontier.size], frontier)
            self.leaves = frontier.size
        last_checkpoint = await _LAST_CHECKPOINT.fetch_value(self._connection) or 0
        if max(state["size"], last_checkpoint) > frontier.size:
            self._problems.add("rewritten", None, f"the log ends at leaf {frontier.size}; its last leaves are missing")

    async def check_stored(self, log: str, store: CheckpointFolder | None, runtime: Runtime[Any]) -> None:
        """Each checkpoint of the service outside the database is one of the database's. Raises `OSError`."""
        if store is None:
            return
        for other in await asyncio.to_thread(store.other_logs, log):
            self._problems.add("rewritten", None, f"the log is {log}, and there are stored checkpoints of {other}")
        notes = store.notes(log)
        while part := await asyncio.to_thread(lambda: list(islice(notes, _AT_ONCE))):
            self.stored_checkpoints += len(part)
            stored = [(Checkpoint.parse(note).size, note) for note in part]
            missing = await _missing(self._connection, stored)
            if missing:
                # Stored since the snapshot was taken: a connection without a transaction sees it.
                async with runtime.reading() as connection:
                    missing = await _missing(connection, missing)
            for size, note in missing:
                self._add_missing(size, note)

    async def _check_row(self, leaf: Record) -> None:
        if leaf["has_row"]:
            return
        entity = {"entity_type": leaf["entity_type"], "entity_id": leaf["entity_id"]}
        position = await _LAST_POSITION.fetch_value(self._connection, **entity)
        if position is None:
            self._problems.add("vanished", leaf, "the log has this row, and there is none of its entity")
        elif position < leaf["position"]:
            self._problems.add("cut", leaf, f"the last row of the entity is at position {position}")
        # Otherwise the chain has shown that the row is missing.

    def _check_note(self, note: str, frontier: Frontier) -> None:
        self.checkpoints += 1
        if Checkpoint.parse(note).root != frontier.root:
            span = f"the leaves from {self._good_size} to {frontier.size - 1}"
            self._problems.add("rewritten", None, f"{span} are not those of the checkpoint of {frontier.size}")
        self._good_size = frontier.size
        if self._public_key is not None and not is_signed(note, self._public_key):
            self._problems.add("signature", None, f"the checkpoint of {frontier.size} leaves")

    def _add_missing(self, size: int, note: str) -> None:
        if self._public_key is not None and not is_signed(note, self._public_key):
            self._problems.add("signature", None, f"the stored checkpoint of {size} leaves")
        else:
            self._problems.add("rewritten", None, f"the log does not have the stored checkpoint of {size} leaves")


async def _missing(connection: Connection, notes: Sequence[_SizedNote]) -> list[_SizedNote]:
    """Those that the database does not have. Several may have one size: at most one of them is the database's."""
    rows = await _OF_SIZES.fetch_all(connection, sizes=list({size for size, _ in notes}))
    found = {(row["size"], row["note"]) for row in rows}
    return [each for each in notes if each not in found]
