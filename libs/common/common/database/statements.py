"""Prepared statements: written in SQLAlchemy Core, compiled once, executed by asyncpg (ADR 2).

    CLOSE = prepare(update(tasks).where(tasks.c.id == bindparam("task_id")).values(status=bindparam("status")))
    changed = await CLOSE.execute(connection, task_id=task_id, status="CLOSED")

A parameter is a named `bindparam`, with a type where no column implies one (`bindparam("limit", type_=Integer)`).
Instead of `IN` over a list of variable length, write `column == any_(bindparam("ids", type_=ARRAY(Uuid)))`. A constant
(`status == "OPEN"`) is sent as a parameter too; where the planner must see it, as for a partial index, write
`literal("OPEN", literal_execute=True)` or `literal_column("'OPEN'")`.

Values reach asyncpg unchanged: a column's Python-side default or `TypeDecorator` is not applied. To prepare takes a
fraction of a millisecond, to execute microseconds: prepare at import, or cache the result.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

if TYPE_CHECKING:
    Record: TypeAlias = asyncpg.Record
    Connection: TypeAlias = asyncpg.Connection[Record] | asyncpg.pool.PoolConnectionProxy[Record]
else:  # the classes are generic for type checkers only
    Record = asyncpg.Record
    Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

_DIALECT = sa.make_url("postgresql+asyncpg://").get_dialect()()
_JSONB_VERSION = b"\x01"
_json_encoder = msgspec.json.Encoder()
_json_decoder = msgspec.json.Decoder(float_hook=Decimal)


class Statement:
    """SQL text and the order of its parameters. A call that does not name exactly the parameters raises `TypeError`."""

    __slots__ = ("_constants", "_pick", "_required", "sql")

    def __init__(self, sql: str, names: Sequence[str], constants: Mapping[str, object]) -> None:
        self.sql = sql
        self._constants = dict(constants)
        self._required = frozenset(names) - constants.keys()
        self._pick = _picker(names)

    async def fetch_one(self, connection: Connection, **parameters: object) -> Record | None:
        return await connection.fetchrow(self.sql, *self._arguments(parameters))

    async def fetch_all(self, connection: Connection, **parameters: object) -> list[Record]:
        return await connection.fetch(self.sql, *self._arguments(parameters))

    async def fetch_all_within(self, connection: Connection, seconds: int, /, **parameters: object) -> list[Record]:
        """As `fetch_all`, with this time limit instead of those of the connection; only in a transaction, the rest of
        which has it too."""
        await connection.execute(f"SET LOCAL statement_timeout = '{seconds}s'")
        # The server's limit ends the statement, and keeps the connection.
        return await connection.fetch(self.sql, *self._arguments(parameters), timeout=seconds + 5)

    async def fetch_value(self, connection: Connection, **parameters: object) -> Any:
        """The first column of the first row; None when there is no row."""
        return await connection.fetchval(self.sql, *self._arguments(parameters))

    async def execute(self, connection: Connection, **parameters: object) -> int:
        """The number of rows that the outer statement changed, without those that its CTEs changed."""
        status = await connection.execute(self.sql, *self._arguments(parameters))
        return int(status.rpartition(" ")[2])

    async def execute_many(self, connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        """Execute once per row, pipelined in one round trip; atomic, also outside a transaction."""
        await connection.executemany(self.sql, [self._arguments(row) for row in rows])

    def _arguments(self, parameters: Mapping[str, object]) -> Sequence[object]:
        if parameters.keys() != self._required:
            missing, unknown = sorted(self._required - parameters.keys()), sorted(parameters.keys() - self._required)
            raise TypeError(f"statement parameters missing: {missing}, unknown: {unknown}, in: {self.sql}")
        values = {**self._constants, **parameters} if self._constants else parameters
        return self._pick(values)


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, object]], Sequence[object]]:
    """The values of these names, in their order. `itemgetter` takes half the time of a loop, but a single value would
    not be in a tuple."""
    return itemgetter(*names) if len(names) > 1 else lambda values: [values[name] for name in names]


def prepare(statement: sa.SelectBase | sa.UpdateBase | sa.TextClause) -> Statement:
    """Compile for asyncpg. Raises `ValueError` for a parameter that only each execution could write into the text."""
    compiled = statement.compile(dialect=_DIALECT)
    expanded_later = compiled.literal_execute_params | compiled.post_compile_params
    if variable := sorted(bind.key for bind in expanded_later if bind.required):
        raise ValueError(f"no fixed SQL text with {variable}: use any_() of an array parameter instead of IN")
    required = {name for bind, name in compiled.bind_names.items() if bind.required}
    expanded = compiled.construct_expanded_state(dict.fromkeys(required))
    constants = {name: value for name, value in expanded.parameters.items() if name not in required}
    return Statement(expanded.statement, expanded.positiontup or (), constants)


def prepare_together(*parts: sa.UpdateBase) -> Statement:
    """One statement of which the last part is the outer statement and the others are CTEs: one round trip. Foreign keys
    between the parts are checked at its end."""
    *first, last = parts
    return prepare(last.add_cte(*(part.cte(f"part_{number}") for number, part in enumerate(first, 1))))


def array_rows(name: str, **columns: Any) -> sa.TableValuedAlias:
    """A table whose rows are given as arrays, one for each column: its columns and their types. The values of a column
    `topic` are the array parameter `topics`."""
    arrays = (sa.bindparam(f"{each}s", type_=ARRAY(type_)) for each, type_ in columns.items())
    table = sa.func.unnest(*arrays).table_valued(*(sa.column(each, type_) for each, type_ in columns.items()))
    return table.render_derived(name)


async def prepare_connection(connection: Connection) -> None:
    """Set a new connection's JSON codecs (`init` of an asyncpg pool): fractions are read as `Decimal`, decimals written
    as strings, and `msgspec.Raw` is written unchanged."""
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
