"""Gauges of the audit log: how far sealing and storing are behind, and what the last verification found."""

from typing import Any

import sqlalchemy as sa
from prometheus_client import Gauge

from common.database.statements import Connection, prepare
from common.database.tables import audit, audit_checkpoints, audit_log, audit_verifications

_unsealed_age = Gauge("audit_unsealed_age_seconds", "Age of the oldest audit row that is not sealed, or 0")
_unstored_age = Gauge(
    "audit_checkpoint_unstored_age_seconds",
    "Age of the oldest checkpoint since the last one that is stored outside the database, or 0",
)
_leaves = Gauge("audit_leaves", "Leaves of the audit log")
_problems = Gauge("audit_problems", "Problems that the last verification of the audit trail found; any is an alert")
_verified_age = Gauge(
    "audit_verified_age_seconds", "Time since the last complete verification of the audit trail, or 0"
)

_STATE = prepare(sa.select(audit_log.c.size, audit_log.c.transaction_id, audit_log.c.audit_id))
_place = sa.tuple_(audit.c.transaction_id, audit.c.id)
_oldest = (
    sa.select(audit.c.created_at)
    .where(_place > sa.tuple_(sa.bindparam("transaction_id", type_=sa.BigInteger), sa.bindparam("id", type_=sa.Uuid)))
    .order_by(audit.c.transaction_id, audit.c.id)
    .limit(sa.literal_column("1"))
    .scalar_subquery()
)
_unstored = (
    sa.select(audit_checkpoints.c.created_at)
    .where(audit_checkpoints.c.size > sa.select(audit_log.c.stored_size).scalar_subquery())
    .order_by(audit_checkpoints.c.size)
    .limit(sa.literal_column("1"))
    .scalar_subquery()
)
_last = (
    sa.select(audit_verifications.c.finished_at, audit_verifications.c.result)
    .where(audit_verifications.c.finished_at.is_not(None))
    .order_by(audit_verifications.c.id.desc())
    .limit(sa.literal_column("1"))
    .subquery("last")
)


def _age(moment: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.extract("epoch", sa.func.clock_timestamp() - moment)


_AGES = prepare(
    sa.select(
        _age(_oldest).label("unsealed"),
        _age(_unstored).label("unstored"),
        sa.select(_age(_last.c.finished_at)).scalar_subquery().label("verified"),
        sa.select(_last.c.result["problems"].as_integer()).scalar_subquery().label("problems"),
    )
)


async def measure_sealing(connection: Connection, *, is_stored: bool) -> None:
    """Set the gauges. Without a store (`is_stored`) no checkpoint waits for it."""
    state = await _STATE.fetch_one(connection)
    if state is None:
        return
    _leaves.set(state["size"])
    row = await _AGES.fetch_one(connection, transaction_id=state["transaction_id"], id=state["audit_id"])
    if row is None:
        return
    _unsealed_age.set(max(row["unsealed"] or 0, 0))
    _unstored_age.set(max(row["unstored"] or 0, 0) if is_stored else 0)
    _verified_age.set(row["verified"] or 0)
    _problems.set(row["problems"] or 0)
