"""Statements of the relay on `outbox_pending`: read the next rows, mark, hold back or park them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from sqlalchemy import (
    BigInteger,
    Integer,
    SmallInteger,
    Text,
    any_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from common.database.statements import Connection, array_rows, prepare
from common.database.tables import outbox, outbox_parked, outbox_pending, relay_lanes
from common.text.storable import LONGEST_ERROR, storable

READY = 0  # the hold of rows that are to be sent now
ROWS_PER_ROUND = 2_000
BYTES_PER_ROUND = 16 * 1024 * 1024
# How far a round looks beyond the first row it may send.
POSITIONS_PER_ROUND = 2 * ROWS_PER_ROUND
_COLUMNS = (
    "position", "id", "aggregateid", "type", "payload", "topic", "key", "sequence", "epoch",
    "causation_id", "traceparent", "headers", "created_at",
)  # fmt: skip

Row: TypeAlias = Mapping[str, Any]  # of the outbox, by column name, and its `hold`
Tokens: TypeAlias = Mapping[int, int]  # lane → token of the lease

_lanes = bindparam("lanes", type_=ARRAY(SmallInteger))
_hold = bindparam("hold", type_=Integer)
_position = outbox_pending.c.position
_is_behind_parked = exists().where(
    outbox_parked.c.topic == outbox.c.topic,
    outbox_parked.c.key == outbox.c.key,
    outbox_parked.c.position < outbox.c.position,
)
# A scalar, as an EXISTS may be answered by going over the whole outbox.
_may_be_sent = (
    select(not_(_is_behind_parked)).where(outbox.c.position == _position).correlate(outbox_pending).scalar_subquery()
)
# Asked once for the whole round; single events are asked only when some may have to wait.
_all_may_be_sent = not_(exists().select_from(outbox_parked))
# A subselect is looked up in a hash table, where an array would be searched once for each row.
_is_in_flight = _position.in_(select(func.unnest(bindparam("in_flight", type_=ARRAY(BigInteger)))))
_is_next = (
    (outbox_pending.c.hold == _hold)
    & (outbox_pending.c.lane == any_(_lanes))
    & not_(_is_in_flight)
    & or_(_all_may_be_sent, _may_be_sent)
)
# Found by what is pending and never by "later than the last one seen", which would lose whoever commits late.
#
# What is held back is not looked at: the index begins with the hold. The relay's plan is made while nothing is pending,
# and has to do when a million are: hence a range of positions, which is looked up in the index, and a LATERAL that
# OFFSET 0 keeps from becoming a join over the whole outbox.
_is_there = select(true()).where(outbox.c.position == _position).correlate(outbox_pending).scalar_subquery()
_first = select(_position).where(_is_next, _is_there).order_by(_position).limit(literal_column("1")).subquery("first")
_next = (
    select(_position)
    .join_from(_first, outbox_pending, _position.between(_first.c.position, _first.c.position + POSITIONS_PER_ROUND))
    .where(_is_next)
    .order_by(_position)
    .limit(literal_column(str(ROWS_PER_ROUND)))
    .subquery("next")
)
_event = (
    select(*(outbox.c[name] for name in _COLUMNS))
    .where(outbox.c.position == _next.c.position)
    .offset(literal_column("0"))
    .lateral("event")
)
_with_bytes = (
    select(_event, func.sum(func.octet_length(_event.c.payload)).over(order_by=_next.c.position).label("bytes"))
    .join_from(_next, _event, true())
    .subquery("sized")
)
_size = func.octet_length(_with_bytes.c.payload)
_READ = prepare(
    select(_with_bytes, _hold.label("hold"))
    .where(_with_bytes.c.bytes - _size < BYTES_PER_ROUND)
    .order_by(_with_bytes.c.position)
)

_lease = array_rows("lease", lane=SmallInteger, token=BigInteger)
_still_leased = (
    select(relay_lanes.c.lane)
    .where(relay_lanes.c.lane == _lease.c.lane, relay_lanes.c.token == _lease.c.token)
    .scalar_subquery()
)
# Rows of a lane that is leased to another relay are left to that relay.
_is_ours = outbox_pending.c.lane == any_(func.array(_still_leased))
_is_named = (outbox_pending.c.hold == _hold) & (_position == any_(bindparam("positions", type_=ARRAY(BigInteger))))
_MARK = prepare(delete(outbox_pending).where(_is_named, _is_ours))
_MOVE = prepare(update(outbox_pending).where(_is_named, _is_ours).values(hold=bindparam("to_hold", type_=Integer)))
_FREE = prepare(
    update(outbox_pending).where(outbox_pending.c.hold == _hold, _is_ours).values(hold=literal_column(str(READY)))
)
_taken = (
    delete(outbox_pending)
    .where(outbox_pending.c.hold == _hold, _position == bindparam("parked_position", type_=BigInteger), _is_ours)
    .returning(_position, outbox_pending.c.lane)
    .cte("taken")
)
_PARK = prepare(
    insert(outbox_parked).from_select(
        ["position", "lane", "topic", "key", "error"],
        select(_taken, outbox.c.topic, outbox.c.key, bindparam("error", type_=Text)).join_from(
            _taken, outbox, outbox.c.position == _taken.c.position
        ),
    )
)


async def read_pending(
    connection: Connection, lanes: Iterable[int], hold: int = READY, in_flight: Iterable[Row] = ()
) -> Sequence[Row]:
    """The next rows of these lanes in their order, ready ones or those of one hold; without the rows behind a parked
    one in its key, and without those in flight.

    Rows of a key that are read while earlier ones are in flight have later positions than these.
    """
    rows = await _READ.fetch_all(
        connection,
        lanes=list(lanes),
        hold=hold,
        in_flight=[row["position"] for row in in_flight],
    )
    return cast(list[Row], rows)  # asyncpg's records are mappings in all but their type


async def mark_published(connection: Connection, rows: Iterable[Row], tokens: Tokens) -> int:
    """Returns how many were marked: fewer than given when a lane has gone to another relay."""
    marked = 0
    for hold, positions in _by_hold(rows).items():
        marked += await _MARK.execute(connection, hold=hold, positions=positions, **_named(tokens))
    return marked


async def hold_back(connection: Connection, rows: Iterable[Row], to_hold: int, tokens: Tokens) -> None:
    """Move rows to a hold, where `read_pending` reads them only by its id."""
    for hold, positions in _by_hold(rows).items():
        if hold != to_hold:
            await _MOVE.execute(connection, hold=hold, positions=positions, to_hold=to_hold, **_named(tokens))


async def free(connection: Connection, hold: int, tokens: Tokens) -> None:
    """Make the rows that are left of a hold ready."""
    await _FREE.execute(connection, hold=hold, **_named(tokens))


async def park(connection: Connection, row: Row, error: str, tokens: Tokens) -> bool:
    """Park a row until an operator replays it; the later ones of its key wait for it. False if the lease was lost."""
    place = {"hold": row["hold"], "parked_position": row["position"]}
    return await _PARK.execute(connection, **place, error=storable(error, LONGEST_ERROR), **_named(tokens)) == 1


def _by_hold(rows: Iterable[Row]) -> dict[int, list[int]]:
    positions: dict[int, list[int]] = {}
    for row in rows:
        positions.setdefault(row["hold"], []).append(row["position"])
    return positions


def _named(tokens: Tokens) -> dict[str, list[int]]:
    return {"lanes": list(tokens), "tokens": list(tokens.values())}
