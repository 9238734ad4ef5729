"""How many there are in each status: exact and cheap to read, and no writer waits for another.

Writers only ever add rows of changes, in the statement of the change itself. The count is the sum of the changes and
of the totals, and `fold` moves the ones into the others.
"""

import asyncio
from typing import Any

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


class StatusCounts:
    """The two tables `<entity>_count_changes` and `<entity>_counts`, and what is done with them."""

    def __init__(self, entity: str, metadata: MetaData) -> None:
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
        """Part of a statement that creates something: its parameters are those of the audit row."""
        return insert(self.changes).values([{"status": bindparam("audit_new_state"), "change": 1}])

    def transition(self) -> Insert:
        """Part of a statement that changes a status: its parameters are those of the audit row."""
        return insert(self.changes).values(
            [
                {"status": bindparam("audit_previous_state"), "change": -1},
                {"status": bindparam("audit_new_state"), "change": 1},
            ]
        )

    def total(self, *, of_one_status: bool) -> ScalarSelect[Any]:
        """How many there are in all, or in the one that the parameter `status` names."""
        counted = select(self._sum)
        if of_one_status:
            counted = counted.where(self._rows.c.status == bindparam("status", type_=Text))
        return counted.scalar_subquery()

    async def by_status(self, connection: Connection) -> dict[str, int]:
        """A status in which nothing ever was is left out."""
        return {row["status"]: row["count"] for row in await self._by_status.fetch_all(connection)}

    async def fold(self, connection: Connection, limit: int = ROWS_PER_FOLD) -> int:
        """Move up to `limit` changes into the totals; returns how many totals were touched, 0 when nothing was left."""
        return await self._fold.execute(connection, limit=limit)

    async def fold_regularly(self, pool: Pool, stopping: asyncio.Event) -> None:
        """Several processes may do so at once."""
        while not stopping.is_set():
            try:
                async with reading(pool) as connection:
                    while await self.fold(connection) and not stopping.is_set():
                        pass
            except Exception as error:
                if not is_connection_failure(error):
                    raise
                _log.warning("counting waits for the database", error=repr(error))
            await pause(stopping, SECONDS_BETWEEN_FOLDS)

    def _folding(self) -> Insert:
        """One statement, so that a change is always in exactly one of the tables, whoever looks."""
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
        # In order of status, so that two who fold at once cannot lock the totals crosswise.
        sums = select(taken.c.status, cast(func.sum(taken.c.change), BigInteger)).group_by(taken.c.status)
        added = insert(self.totals).from_select(["status", "count"], sums.order_by(taken.c.status))
        return added.on_conflict_do_update(
            index_elements=[self.totals.c.status], set_={"count": self.totals.c.count + added.excluded.count}
        )
