"""Deletes rows whose retention is over, in small batches that hold their locks briefly."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import Counter
from sqlalchemy import ColumnElement, Table, any_, bindparam, delete, exists, func, literal, literal_column, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import UserDefinedType

from common.component import pause
from common.database.statements import Connection, prepare
from common.database.tables import (
    discrepancies,
    idempotency_keys,
    inbox,
    jobs,
    outbox,
    outbox_parked,
    outbox_pending,
    poison,
    rate_limit_leases,
)
from common.database.transactions import FailuresLogged, Pool, transaction
from common.settings import ServiceSettings

ROWS_PER_BATCH = 1_000
SECONDS_BETWEEN_BATCHES = 0.1
SECONDS_BETWEEN_ROUNDS = 60.0

_log = structlog.get_logger(__name__)
_purged = Counter("purged_rows_total", "Rows deleted because their retention was over", ["table"])


class _TupleId(UserDefinedType[Any]):
    """A row's physical location (`ctid`), which does not change while the row is locked."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "TID"


class PurgeRule:
    """Deletes rows of `table` for which `is_expired` holds.

    In two statements, as the second sees what was committed before the rows were locked: a row that was expired for the
    first may be needed again by then (an event to be published again).
    """

    def __init__(self, table: Table, is_expired: ColumnElement[bool]) -> None:
        self.table = table
        ctid: ColumnElement[Any] = literal_column(f"{table.name}.ctid", _TupleId)
        expired_rows = select(ctid).select_from(table).where(is_expired).limit(ROWS_PER_BATCH)
        self.lock = prepare(expired_rows.with_for_update(skip_locked=True))
        is_locked = ctid == any_(bindparam("ctids", type_=ARRAY(_TupleId)))
        self.delete = prepare(delete(table).where(is_locked, is_expired))

    async def purge(self, connection: Connection) -> tuple[int, int]:
        """The numbers of rows that were locked and deleted in this transaction. Rows that another transaction locks are
        left to a later batch."""
        ctids = [ctid for (ctid,) in await self.lock.fetch_all(connection)]
        return len(ctids), await self.delete.execute(connection, ctids=ctids) if ctids else 0


def older_than(column: ColumnElement[object], days: float) -> ColumnElement[bool]:
    """By the database's clock."""
    return column < func.now() - timedelta(days=days)


def standard_rules(settings: ServiceSettings) -> list[PurgeRule]:
    """The retention of the common tables.

    Events are retained long enough to refill a broker that lost its data, and inbox rows longer than Kafka retains
    their events. A job that is done may be deleted: a unique key in the service's own tables, which are never purged,
    prevents repeated work. So may one that was discarded: the audit trail retains who discarded it and why.
    `event_streams` is never purged: consumers would ignore a sequence that starts again.
    """
    is_unpublished = or_(
        *(exists().where(each.c.position == outbox.c.position) for each in (outbox_pending, outbox_parked))
    )
    return [
        PurgeRule(outbox, older_than(outbox.c.created_at, settings.outbox_retention_days) & ~is_unpublished),
        PurgeRule(inbox, older_than(inbox.c.received_at, settings.inbox_retention_days)),
        *(
            PurgeRule(jobs, _is(jobs.c.state, state) & older_than(jobs.c.finished_at, settings.job_retention_days))
            for state in ("done", "discarded")
        ),
        *(
            PurgeRule(poison, _is(poison.c.state, state) & older_than(ended_at, settings.poison_retention_days))
            for state, ended_at in (("replayed", poison.c.replayed_at), ("discarded", poison.c.discarded_at))
        ),
        PurgeRule(discrepancies, older_than(discrepancies.c.resolved_at, settings.job_retention_days)),
        PurgeRule(idempotency_keys, idempotency_keys.c.expires_at < func.now()),
        PurgeRule(rate_limit_leases, rate_limit_leases.c.expires_at < func.now()),
    ]


def _is(state: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """A literal in the SQL text, so that the planner can use the partial index."""
    return state == literal(name, literal_execute=True)


async def purge_regularly(pool: Pool, rules: Sequence[PurgeRule], stopping: asyncio.Event) -> None:
    """Apply the rules until `stopping` is set. Several processes may do so at once."""
    while not stopping.is_set():
        with FailuresLogged(_log.warning, "purging waits for the database"):
            for rule in rules:
                await _purge(pool, rule, stopping)
        await pause(stopping, SECONDS_BETWEEN_ROUNDS)


async def _purge(pool: Pool, rule: PurgeRule, stopping: asyncio.Event) -> None:
    locked_rows = ROWS_PER_BATCH
    while locked_rows == ROWS_PER_BATCH and not stopping.is_set():
        async with transaction(pool) as connection:
            locked_rows, deleted_rows = await rule.purge(connection)
        _purged.labels(rule.table.name).inc(deleted_rows)
        await pause(stopping, SECONDS_BETWEEN_BATCHES)
