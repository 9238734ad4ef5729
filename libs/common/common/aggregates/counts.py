"""Counts of aggregates by status: exact, cheap to read, and without a lock that writers would wait for.

Writers only insert rows of changes, in the statement of the change itself. A count is the sum of the changes and the
total; `fold` moves changes into the totals.
"""

import asyncio
from enum import StrEnum
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Integer,
    MetaData,
    ScalarSelect,
    SmallInteger,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import Insert, insert

from common.database.statements import Connection, prepare
from common.database.transactions import Pool, is_connection_failure, reading
from common.pauses import pause

ROWS_PER_FOLD = 5_000
SECONDS_BETWEEN_FOLDS = 2.0

_log = structlog.get_logger(__name__)

Status = TypeVar("Status", bound=StrEnum)


class StatusCounts(Generic[Status]):
    """The two tables `<entity>_count_changes` and `<entity>_counts`, and the statements on them."""

    def __init__(self, entity: str, statuses: type[Status], metadata: MetaData) -> None:
        self._statuses = statuses
        self.changes = Table(
            f"{entity}_count_changes",
            metadata,
            Column("position", BigInteger, Identity(always=True), primary_key=True),
            Column("status", Text, nullable=False),
            Column("change", SmallInteger, nullable=False),
        )
        self.totals = Table(
            f"{entity}_counts",
            metadata,
            Column("status", Text, primary_key=True),
            Column("count", BigInteger, nullable=False),
        )
        self._rows = union_all(
            select(self.totals.c.status, self.totals.c.count), select(self.changes.c.status, self.changes.c.change)
        ).subquery()
        self._sum = cast(func.coalesce(func.sum(self._rows.c.count), 0), BigInteger)
        self._by_status = prepare(select(self._rows.c.status, self._sum.label("count")).group_by(self._rows.c.status))
        self._fold = prepare(self._folding())

    def arrival(self) -> Insert:
        """Part of the statement that creates an aggregate; its parameters are those of the audit row."""
        return insert(self.changes).values([{"status": bindparam("audit_new_state"), "change": 1}])

    def transition(self) -> Insert:
        """Part of the statement that changes a status; its parameters are those of the audit row."""
        return insert(self.changes).values(
            [
                {"status": bindparam("audit_previous_state"), "change": -1},
                {"status": bindparam("audit_new_state"), "change": 1},
            ]
        )

    def total(self, *, of_one_status: bool) -> ScalarSelect[Any]:
        """The number of all, or of those in the status that the parameter `status` names."""
        counted = select(self._sum)
        if of_one_status:
            counted = counted.where(self._rows.c.status == bindparam("status", type_=Text))
        return counted.scalar_subquery()

    async def by_status(self, connection: Connection) -> dict[Status, int]:
        counts = {row["status"]: row["count"] for row in await self._by_status.fetch_all(connection)}
        return {status: counts.get(status, 0) for status in self._statuses}

    async def fold(self, connection: Connection, limit: int = ROWS_PER_FOLD) -> int:
        """Move up to `limit` changes into the totals; returns how many totals changed, 0 when there were no changes."""
        return await self._fold.execute(connection, limit=limit)

    async def fold_regularly(self, pool: Pool, stopping: asyncio.Event) -> None:
        """Fold every `SECONDS_BETWEEN_FOLDS`; several processes may do so at the same time."""
        while not stopping.is_set():
            try:
                async with reading(pool) as connection:
                    while await self.fold(connection) and not stopping.is_set():
                        pass
            except Exception as error:
                if not is_connection_failure(error):
                    raise
                _log.warning("folding of counts waits for the database", error=repr(error))
            await pause(stopping, SECONDS_BETWEEN_FOLDS)

    def _folding(self) -> Insert:
        """One statement, so that every reader finds a change in exactly one of the two tables."""
        oldest = (
            select(self.changes.c.position)
            .order_by(self.changes.c.position)
            .limit(bindparam("limit", type_=Integer))
            .with_for_update(skip_locked=True)
        )
        taken = (
            delete(self.changes)
            .where(self.changes.c.position.in_(oldest))
            .returning(self.changes.c.status, self.changes.c.change)
            .cte("taken")
        )
        # In order of status, so that two processes that fold at the same time cannot deadlock on the totals.
        sums = select(taken.c.status, cast(func.sum(taken.c.change), BigInteger)).group_by(taken.c.status)
        added = insert(self.totals).from_select(["status", "count"], sums.order_by(taken.c.status))
        return added.on_conflict_do_update(
            index_elements=[self.totals.c.status], set_={"count": self.totals.c.count + added.excluded.count}
        )
