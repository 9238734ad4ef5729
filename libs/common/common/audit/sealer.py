"""The sealer: adds the new heads of all audit chains to the Merkle log, and makes and stores checkpoints (ADR 33).

It reads the audit rows of transactions that have ended, in the order of the transactions' numbers: all numbers below
the smallest one that is still in progress. So no row is missed, however late its transaction commits, and a request
writes nothing for it.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog

from common.audit import log_rows
from common.audit.checkpoint import Checkpoint, SigningKey, unsigned
from common.audit.checkpoint_store import CheckpointConflict, CheckpointFolder
from common.audit.log_rows import ROWS_AT_ONCE, LogState, log_name
from common.audit.merkle import Frontier, leaf_hash
from common.audit.sealing_metrics import measure_sealing
from common.component import Component, pause
from common.database.statements import Connection, Record
from common.database.transactions import FailuresLogged, Pool, reading, transaction

_log = structlog.get_logger(__name__)


class Sealer:
    """Several processes may seal: one at a time holds the lock on the log's state, and the others skip the round.

    Without a `key` checkpoints have no signature; without a `store` they are in the database only.
    """

    def __init__(
        self, pool: Pool, service: str, *, key: SigningKey | None, store: CheckpointFolder | None, seconds: float
    ) -> None:
        """`seconds` is the pause between two rounds."""
        self._pool = pool
        self._service = service
        self._key = key
        self._store = store
        self._seconds = seconds
        self.component = Component("sealer", self.run)

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            with FailuresLogged(_log.warning, "sealing waits for the database"):
                while await self.seal_batch() == ROWS_AT_ONCE and not stopping.is_set():
                    pass
                await self.store_checkpoint()
                async with reading(self._pool) as connection:
                    await measure_sealing(connection, is_stored=self._store is not None)
            await pause(stopping, self._seconds)

    async def seal_batch(self) -> int:
        """Seal the next audit rows, and add a checkpoint behind the last ones; returns how many rows were read."""
        async with transaction(self._pool) as connection:
            state = await log_rows.lock(connection)
            if state is None:
                return 0
            rows = await log_rows.next_rows(connection, state)
            frontier = Frontier(state.size, state.frontier)
            await _add_leaves(connection, frontier, rows)
            await log_rows.save(connection, state, frontier, rows)
            if len(rows) < ROWS_AT_ONCE and frontier.size > state.checkpoint_size:
                await self._add_checkpoint(connection, state, frontier)
            return len(rows)

    async def store_checkpoint(self) -> None:
        """Store the latest checkpoint outside the database. What fails is tried again in the next round."""
        if self._store is None:
            return
        async with reading(self._pool) as connection:
            note = await log_rows.unstored_note(connection)
        if note is None:
            return
        try:
            checkpoint = self._parse_own(note)
            await self._store.put(checkpoint, note)
        except (CheckpointConflict, OSError, ValueError) as error:
            _log.error("a checkpoint of the audit log was not stored", error=str(error))
            return
        async with reading(self._pool) as connection:
            await log_rows.mark_stored(connection, checkpoint.size)

    def _parse_own(self, note: str) -> Checkpoint:
        """The name of a log is a path of the folder: only a name of this service may be one. Raises `ValueError`."""
        checkpoint = Checkpoint.parse(note)
        service, _, log_id = checkpoint.log.rpartition("/")
        if checkpoint.log != log_name(self._service, UUID(log_id)):
            raise ValueError(f"{service} is not the name of a log of this service")
        return checkpoint

    async def _add_checkpoint(self, connection: Connection, state: LogState, frontier: Frontier) -> None:
        checkpoint = Checkpoint(state.name(self._service), frontier.size, frontier.root, state.now)
        note = unsigned(checkpoint) if self._key is None else self._key.sign(checkpoint)
        await log_rows.add_checkpoint(connection, checkpoint, note)


async def _add_leaves(connection: Connection, frontier: Frontier, rows: Sequence[Record]) -> None:
    """A leaf for the newest row of each entity, unless a leaf seals it already."""
    heads: dict[tuple[str, object], Record] = {}
    for row in rows:
        entity = (row["entity_type"], row["entity_id"])
        if not row["is_sealed"] and (entity not in heads or row["position"] > heads[entity]["position"]):
            heads[entity] = row
    leaves, nodes = [], []
    for row in heads.values():
        sealed = (row["entity_type"], row["entity_id"], row["position"], row["hash"])
        leaves.append((frontier.size, *sealed))
        nodes += [(*node, root) for node, root in frontier.append(leaf_hash(*sealed))]
    await log_rows.add(connection, leaves, nodes)
