"""Counts of aggregates by status: exact, cheap to read, and without a lock that writers would wait for.

Writers only insert rows of changes, in the statement of the change itself. A count is the sum of the changes and the
total; `fold` moves changes into the totals.
"""

import asyncio
from collections.abc import Collection
from enum import StrEnum
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import Insert, insert

from common.component import pause
from common.database.statements import Connection, prepare
from common.database.transactions import FailuresLogged, Pool, reading

ROWS_PER_FOLD = 5_000
SECONDS_BETWEEN_FOLDS = 2.0

_log = structlog.get_logger(__name__)

Status = TypeVar("Status", bound=StrEnum)


class StatusCounts(Generic[Status]):
    """The two tables `<entity>_count_changes` and `<entity>_counts`, and the statements on them."""

    def __init__(self, entity: str, statuses: type[Status], metadata: sa.MetaData) -> None:
        self._statuses = statuses
        self.changes = sa.Table(
            f"{entity}_count_changes",
            metadata,
            sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
            sa.Column("status", sa.Text, nullable=False),
            sa.Column("change", sa.SmallInteger, nullable=False),
        )
        self.totals = sa.Table(
            f"{entity}_counts",
            metadata,
            sa.Column("status", sa.Text, primary_key=True),
            sa.Column("count", sa.BigInteger, nullable=False),
        )
        self._rows = sa.union_all(
            sa.select(self.totals.c.status, self.totals.c.count),
            sa.select(self.changes.c.status, self.changes.c.change),
        ).subquery()
        self._sum = sa.cast(sa.func.coalesce(sa.func.sum(self._rows.c.count), 0), sa.BigInteger)
        self._by_status = prepare(
            sa.select(self._rows.c.status, self._sum.label("count")).group_by(self._rows.c.status)
        )
        self._fold = prepare(self._folding())

    def arrival(self) -> Insert:
        """Part of the statement that creates an aggregate; its parameters are those of the audit row."""
        return insert(self.changes).values([{"status": sa.bindparam("audit_new_state"), "change": 1}])

    def transition(self) -> Insert:
        """Part of the statement that changes a status; its parameters are those of the audit row."""
        return insert(self.changes).values(
            [
                {"status": sa.bindparam("audit_previous_state"), "change": -1},
                {"status": sa.bindparam("audit_new_state"), "change": 1},
            ]
        )

    def total(self, statuses: Collection[str] = ()) -> sa.ScalarSelect[Any]:
        """Count the aggregates in these statuses; all aggregates without a status."""
        query = sa.select(self._sum)
        if statuses:
            query = query.where(self._rows.c.status.in_([str(each) for each in statuses]))
        return query.scalar_subquery()

    async def by_status(self, connection: Connection) -> dict[Status, int]:
        counts = {row["status"]: row["count"] for row in await self._by_status.fetch_all(connection)}
        return {status: counts.get(status, 0) for status in self._statuses}

    async def fold(self, connection: Connection, limit: int = ROWS_PER_FOLD) -> int:
        """Move up to `limit` changes into the totals; returns how many totals changed, 0 when there were no changes."""
        return await self._fold.execute(connection, limit=limit)

    async def fold_regularly(self, pool: Pool, stopping: asyncio.Event) -> None:
        """Fold every `SECONDS_BETWEEN_FOLDS`; several processes may do so at the same time."""
        while not stopping.is_set():
            with FailuresLogged(_log.warning, "folding of counts waits for the database"):
                async with reading(pool) as connection:
                    while await self.fold(connection) and not stopping.is_set():
                        pass
            await pause(stopping, SECONDS_BETWEEN_FOLDS)

    def _folding(self) -> Insert:
        """One statement, so that every reader finds a change in exactly one of the two tables."""
        oldest = (
            sa.select(self.changes.c.position)
            .order_by(self.changes.c.position)
            .limit(sa.bindparam("limit", type_=sa.Integer))
            .with_for_update(skip_locked=True)
        )
        deleted_changes = (
            sa.delete(self.changes)
            .where(self.changes.c.position.in_(oldest))
            .returning(self.changes.c.status, self.changes.c.change)
            .cte("deleted_changes")
        )
        # In order of status, so that two processes that fold at the same time cannot deadlock on the totals.
        sums = sa.select(
            deleted_changes.c.status, sa.cast(sa.func.sum(deleted_changes.c.change), sa.BigInteger)
        ).group_by(deleted_changes.c.status)
        insertion = insert(self.totals).from_select(["status", "count"], sums.order_by(deleted_changes.c.status))
        return insertion.on_conflict_do_update(
            index_elements=[self.totals.c.status], set_={"count": self.totals.c.count + insertion.excluded.count}
        )
