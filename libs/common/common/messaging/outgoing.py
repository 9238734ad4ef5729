"""The outbox as a relay sees it: which rows are next, and what became of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from sqlalchemy import (
    BigInteger,
    SmallInteger,
    Text,
    any_,
    bindparam,
    column,
    exists,
    func,
    literal,
    literal_column,
    not_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from common.database.statements import Connection, prepare
from common.database.tables import outbox, relay_lanes

ROWS_PER_ROUND = 2_000
BYTES_PER_ROUND = 16 * 1024 * 1024
# How far a round looks beyond the first row it may send. Without this bound the database may choose to sort the whole
# backlog for every round (280 ms at 40,000 rows, against 13), and a long one would take for ever.
POSITIONS_PER_ROUND = 2 * ROWS_PER_ROUND
_COLUMNS = (
    "position", "id", "aggregateid", "type", "payload", "topic", "key", "sequence", "epoch", "lane",
    "causation_id", "traceparent", "headers", "created_at",
)  # fmt: skip

Row: TypeAlias = Mapping[str, Any]  # of the outbox, by column name
Tokens: TypeAlias = Mapping[int, int]  # lane → token of the lease

_lanes = bindparam("lanes", type_=ARRAY(SmallInteger))
_is_pending = outbox.c.state == literal("pending", literal_execute=True)
_parked = outbox.alias("parked")
_is_behind_parked = exists().where(
    _parked.c.state == literal("parked", literal_execute=True),
    _parked.c.topic == outbox.c.topic,
    _parked.c.key == outbox.c.key,
)
_may_be_sent = (
    _is_pending
    & (outbox.c.lane == any_(_lanes))
    & not_(outbox.c.topic == any_(bindparam("held_back", type_=ARRAY(Text))))
    & not_(_is_behind_parked)
)
# A subselect is looked up in a hash table, where an array would be searched once for each row.
_is_on_its_way = outbox.c.position.in_(select(func.unnest(bindparam("on_their_way", type_=ARRAY(BigInteger)))))
# Found by state and never by "later than the last one seen", which would lose whoever commits late.
_first = (
    select(outbox.c.position)
    .where(_may_be_sent, not_(_is_on_its_way))
    .order_by(outbox.c.position)
    .limit(literal_column("1"))
    .scalar_subquery()
)
_next = (
    select(
        *(outbox.c[name] for name in _COLUMNS),
        func.sum(func.octet_length(outbox.c.payload)).over(order_by=outbox.c.position).label("bytes"),
    )
    .where(_may_be_sent, outbox.c.position >= _first, outbox.c.position < _first + POSITIONS_PER_ROUND)
    .where(not_(_is_on_its_way))
    .order_by(outbox.c.position)
    .limit(literal_column(str(ROWS_PER_ROUND)))
    .subquery()
)
_READ = prepare(
    select(_next).where(_next.c.bytes - func.octet_length(_next.c.payload) < BYTES_PER_ROUND).order_by(_next.c.position)
)

_lease = (
    func.unnest(_lanes, bindparam("tokens", type_=ARRAY(BigInteger)))
    .table_valued(column("lane", SmallInteger), column("token", BigInteger))
    .render_derived("lease")
)
_still_leased = (
    select(relay_lanes.c.lane)
    .where(relay_lanes.c.lane == _lease.c.lane, relay_lanes.c.token == _lease.c.token)
    .scalar_subquery()
)
# Rows of a lane that went to another relay are that relay's to judge.
_is_ours = _is_pending & (outbox.c.lane == any_(func.array(_still_leased)))
_MARK = prepare(
    update(outbox)
    .where(outbox.c.position == any_(bindparam("positions", type_=ARRAY(BigInteger))), _is_ours)
    .values(state="published", published_at=func.now(), last_error=None)
)
_PARK = prepare(
    update(outbox)
    .where(outbox.c.position == bindparam("parked_position", type_=BigInteger), _is_ours)
    .values(state="parked", last_error=bindparam("error", type_=Text))
)


async def read_pending(
    connection: Connection, lanes: Iterable[int], held_back: Collection[str], on_their_way: Iterable[Row] = ()
) -> Sequence[Row]:
    """The next rows of these lanes in their order, without the topics that are held back, the keys behind a parked row,
    and what is on its way.

    What of a key is read while its earlier rows are on their way has later positions than these.
    """
    rows = await _READ.fetch_all(
        connection,
        lanes=list(lanes),
        held_back=list(held_back),
        on_their_way=[row["position"] for row in on_their_way],
    )
    return cast(list[Row], rows)  # asyncpg's records are mappings in all but their type


async def mark_published(connection: Connection, rows: Iterable[Row], tokens: Tokens) -> int:
    """Returns how many were marked: fewer than given when a lane has gone to another relay."""
    return await _MARK.execute(connection, positions=[row["position"] for row in rows], **_named(tokens))


async def park(connection: Connection, row: Row, error: str, tokens: Tokens) -> bool:
    """Take a row, and with it the later ones of its key, out of the way until an operator replays it."""
    return await _PARK.execute(connection, parked_position=row["position"], error=error, **_named(tokens)) == 1


def _named(tokens: Tokens) -> dict[str, list[int]]:
    return {"lanes": list(tokens), "tokens": list(tokens.values())}
