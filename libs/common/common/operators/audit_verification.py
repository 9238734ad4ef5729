"""Verification of the audit trail of a database: all chains, the log of their heads, and its checkpoints (ADR 33)."""

from typing import Any

import sqlalchemy as sa

from common.audit.chain import ChainCheck
from common.audit.checkpoint import SigningKey
from common.audit.checkpoint_store import CheckpointFolder
from common.audit.entries import COLUMNS
from common.audit.log_rows import log_name
from common.database.statements import Connection, Record, prepare
from common.database.tables import audit, audit_details, audit_leaves, audit_log
from common.operators.audit_log_verification import LogCheck
from common.operators.audit_problems import Problems
from common.operators.results import AuditResult
from common.service import Runtime

_ROWS_AT_ONCE = 200
_ALL = prepare(
    sa.select(
        *(*COLUMNS, audit.c.transaction_id, audit_details.c.salt, audit_details.c.details, audit_details.c.ip_address),
        audit_leaves.c.hash.label("sealed_hash"),
    )
    .select_from(
        audit.outerjoin(audit_details).outerjoin(
            audit_leaves,
            (audit_leaves.c.entity_type == audit.c.entity_type)
            & (audit_leaves.c.entity_id == audit.c.entity_id)
            & (audit_leaves.c.position == audit.c.position),
        )
    )
    .order_by(audit.c.entity_type, audit.c.entity_id, audit.c.position)
)
_STATE = prepare(sa.select(audit_log))


async def verify_audit(connection: Connection, runtime: Runtime[Any]) -> AuditResult:
    """Read everything by one snapshot, with bounded memory; the first statement of the caller's transaction."""
    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    problems, state = Problems(), await _STATE.fetch_one(connection)
    if state is None:
        raise LookupError("the audit log has no state")
    chains = _Chains(problems, state)
    async for row in connection.cursor(_ALL.sql, prefetch=_ROWS_AT_ONCE):
        chains.add(row)
    chains.end()
    settings = runtime.settings
    log = LogCheck(connection, problems, SigningKey.of(settings))
    await log.check_leaves(state)
    await log.check_stored(log_name(runtime.service.name, state["id"]), CheckpointFolder.of(settings), runtime)
    return {
        "rows": chains.rows,
        "entities": chains.entities,
        "leaves": log.leaves,
        "checkpoints": log.checkpoints,
        "stored_checkpoints": log.stored_checkpoints,
        "unsealed_rows": chains.unsealed_rows,
        "problems": problems.number,
        "broken": problems.found[0] if problems.found else None,
        "found": problems.found,
    }


class _Chains:
    """Verifies the rows of all entities, in the order of their positions, and compares them with the sealed heads."""

    def __init__(self, problems: Problems, state: Record) -> None:
        self._problems = problems
        self._sealed = (state["transaction_id"], state["audit_id"])
        self._is_complete = state["continue_from"] is None
        self._entity: tuple[str, object] | None = None
        self._check = ChainCheck()
        # The first row since the sealed head that the sealer has read, and the number of all.
        self._skipped: Record | None = None
        self._since_the_head = 0
        self.rows = self.entities = self.unsealed_rows = 0

    def add(self, row: Record) -> None:
        entity = (row["entity_type"], row["entity_id"])
        if entity != self._entity:
            self.end()
            self._entity, self._check = entity, ChainCheck()
            self.entities += 1
        self.rows += 1
        problem = self._check.problem(row)
        if problem is not None:
            self._problems.add(problem, row)
        elif row["sealed_hash"] not in (None, row["hash"]):
            self._problems.add("recalculated", row)
        if row["sealed_hash"] is not None:
            self._skipped, self._since_the_head = None, 0
            return
        self._since_the_head += 1
        if self._skipped is None and (row["transaction_id"], row["id"]) <= self._sealed:
            self._skipped = row

    def end(self) -> None:
        """Of an entity: rows after its sealed head must be newer than what the sealer has read."""
        self.unsealed_rows += self._since_the_head
        if self._skipped is not None and self._is_complete:
            self._problems.add("unsealed", self._skipped, "the sealer has read later rows, but no leaf seals this one")
        self._skipped, self._since_the_head = None, 0
