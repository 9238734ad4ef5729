"""The next event of an aggregate that counts its events in its own row, for an event that is no change of it."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.database.statements import Connection, prepare


class EventCounter:
    """`key` is the column with the record key of the aggregates' events; their table has a column `sequence`."""

    def __init__(self, key: sa.Column[Any]) -> None:
        table: Any = key.table
        is_row = key == sa.bindparam("record_key", type_=sa.Uuid)
        self._next = prepare(
            sa.update(table).where(is_row).values(sequence=table.c.sequence + 1).returning(table.c.sequence)
        )

    async def next(self, connection: Connection, key: str) -> int | None:
        """The sequence of the key's next event, whose row is locked until the transaction ends; None where no aggregate
        has this key."""
        sequence: int | None = await self._next.fetch_value(connection, record_key=UUID(key))
        return sequence
