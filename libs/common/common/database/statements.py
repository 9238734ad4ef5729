"""SQL statements written in SQLAlchemy Core, compiled once, and run by asyncpg (ADR 2).

    SHIP = prepare(update(orders).where(orders.c.id == bindparam("order_id")).values(status=bindparam("status")))
    changed = await SHIP.execute(connection, order_id=order_id, status="SHIPPED")

What varies is a named `bindparam`; give it a type where no column gives it one (`bindparam("limit", type_=Integer)`).
An `IN` over a list that varies is `column == any_(bindparam("ids", type_=ARRAY(Uuid)))`. A plain value in a statement
(`status == "PENDING"`) is sent as a parameter that never changes; where the planner must see it, as for a partial
index, write `literal("PENDING", literal_execute=True)` or `literal_column("'PENDING'")`.

Values reach asyncpg as they are: a column's Python-side default or `TypeDecorator` is not applied. Preparing takes
a fraction of a millisecond, a call of what was prepared microseconds: prepare at import, or cache by shape.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
import msgspec
from sqlalchemy import SelectBase, TextClause, UpdateBase, make_url

if TYPE_CHECKING:
    Record: TypeAlias = asyncpg.Record
    Connection: TypeAlias = asyncpg.Connection[Record] | asyncpg.pool.PoolConnectionProxy[Record]
else:  # the classes are generic for type checkers only
    Record = asyncpg.Record
    Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

_DIALECT = make_url("postgresql+asyncpg://").get_dialect()()
_JSONB_VERSION = b"\x01"
_json_encoder = msgspec.json.Encoder()
_json_decoder = msgspec.json.Decoder(float_hook=Decimal)


class Statement:
    """SQL text with its parameters' order. Every call names exactly the parameters, or raises `TypeError`."""

    __slots__ = ("_constants", "_names", "_required", "sql")

    def __init__(self, sql: str, names: Iterable[str], constants: Mapping[str, object]) -> None:
        self.sql = sql
        self._names = tuple(names)
        self._constants = dict(constants)
        self._required = frozenset(self._names) - constants.keys()

    async def fetch_one(self, connection: Connection, **parameters: object) -> Record | None:
        return await connection.fetchrow(self.sql, *self._arguments(parameters))

    async def fetch_all(self, connection: Connection, **parameters: object) -> list[Record]:
        return await connection.fetch(self.sql, *self._arguments(parameters))

    async def fetch_value(self, connection: Connection, **parameters: object) -> Any:
        """The first column of the first row; None when there is no row."""
        return await connection.fetchval(self.sql, *self._arguments(parameters))

    async def execute(self, connection: Connection, **parameters: object) -> int:
        """How many rows were affected. A CTE that writes is not counted, only the outer statement."""
        status = await connection.execute(self.sql, *self._arguments(parameters))
        return int(status.rpartition(" ")[2])

    async def execute_many(self, connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        """Run once per row, all rows pipelined in one round trip; all or none, also outside a transaction."""
        await connection.executemany(self.sql, [self._arguments(row) for row in rows])

    def _arguments(self, given: Mapping[str, object]) -> list[object]:
        if given.keys() != self._required:
            missing, unknown = sorted(self._required - given.keys()), sorted(given.keys() - self._required)
            raise TypeError(f"statement parameters missing: {missing}, unknown: {unknown}, in: {self.sql}")
        values = {**self._constants, **given} if self._constants else given
        return [values[name] for name in self._names]


def prepare(statement: SelectBase | UpdateBase | TextClause) -> Statement:
    """Compile for asyncpg. Raises `ValueError` for a parameter that would have to be written into the text later."""
    compiled = statement.compile(dialect=_DIALECT)
    late = compiled.literal_execute_params | compiled.post_compile_params
    if unfixed := sorted(bind.key for bind in late if bind.required):
        raise ValueError(f"no fixed SQL text with {unfixed}: use any_() of an array parameter instead of IN")
    required = {name for bind, name in compiled.bind_names.items() if bind.required}
    expanded = compiled.construct_expanded_state(dict.fromkeys(required))
    constants = {name: value for name, value in expanded.parameters.items() if name not in required}
    return Statement(expanded.statement, expanded.positiontup or (), constants)


def prepare_together(*parts: UpdateBase) -> Statement:
    """All in one statement and round trip, the last as its outer one; foreign keys among the parts are checked at the
    statement's end."""
    *first, last = parts
    return prepare(last.add_cte(*(part.cte(f"part_{number}") for number, part in enumerate(first, 1))))


async def prepare_connection(connection: Connection) -> None:
    """Teach a new connection JSON (`init` of an asyncpg pool): fractions are read as `Decimal`, decimals written as
    strings, and `msgspec.Raw` is written as the bytes it holds."""
    await connection.set_type_codec(
        "json", schema="pg_catalog", format="binary", encoder=_json_encoder.encode, decoder=_json_decoder.decode
    )
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_encode_jsonb, decoder=_decode_jsonb
    )


def _encode_jsonb(value: object) -> bytes:
    return _JSONB_VERSION + _json_encoder.encode(value)


def _decode_jsonb(data: bytes) -> Any:
    return _json_decoder.decode(memoryview(data)[1:])
