"""Statements of the relay on `outbox_pending`: read the next rows, mark, hold back or park them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar, cast

import sqlalchemy as sa
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
Key = TypeVar("Key")
Tokens: TypeAlias = Mapping[int, int]  # lane → token of the lease

_lanes = sa.bindparam("lanes", type_=ARRAY(sa.SmallInteger))
_hold = sa.bindparam("hold", type_=sa.Integer)
_position = outbox_pending.c.position
_is_behind_parked = sa.exists().where(
    outbox_parked.c.topic == outbox.c.topic,
    outbox_parked.c.key == outbox.c.key,
    outbox_parked.c.position < outbox.c.position,
)
# A scalar, as an EXISTS may be answered by going over the whole outbox.
_may_be_sent = (
    sa.select(sa.not_(_is_behind_parked))
    .where(outbox.c.position == _position)
    .correlate(outbox_pending)
    .scalar_subquery()
)
# Asked once for the whole round; single events are asked only when some may have to wait.
_all_may_be_sent = sa.not_(sa.exists().select_from(outbox_parked))
# A subselect is looked up in a hash table, where an array would be searched once for each row.
_is_in_flight = _position.in_(sa.select(sa.func.unnest(sa.bindparam("in_flight", type_=ARRAY(sa.BigInteger)))))
_is_next = (
    (outbox_pending.c.hold == _hold)
    & (outbox_pending.c.lane == sa.any_(_lanes))
    & sa.not_(_is_in_flight)
    & sa.or_(_all_may_be_sent, _may_be_sent)
)
# Found by what is pending and never by "later than the last one seen", which would lose whoever commits late.
#
# What is held back is not looked at: the index begins with the hold. The relay's plan is made while nothing is pending,
# and has to do when a million are: hence a range of positions, which is looked up in the index, and a LATERAL that
# OFFSET 0 keeps from becoming a join over the whole outbox.
_is_there = sa.select(sa.true()).where(outbox.c.position == _position).correlate(outbox_pending).scalar_subquery()
_first = (
    sa.select(_position).where(_is_next, _is_there).order_by(_position).limit(sa.literal_column("1")).subquery("first")
)
_next = (
    sa.select(_position)
    .join_from(_first, outbox_pending, _position.between(_first.c.position, _first.c.position + POSITIONS_PER_ROUND))
    .where(_is_next)
    .order_by(_position)
    .limit(sa.literal_column(str(ROWS_PER_ROUND)))
    .subquery("next")
)
_event = (
    sa.select(*(outbox.c[name] for name in _COLUMNS))
    .where(outbox.c.position == _next.c.position)
    .offset(sa.literal_column("0"))
    .lateral("event")
)
_with_bytes = (
    sa.select(
        _event, sa.func.sum(sa.func.octet_length(_event.c.payload)).over(order_by=_next.c.position).label("bytes")
    )
    .join_from(_next, _event, sa.true())
    .subquery("sized")
)
_size = sa.func.octet_length(_with_bytes.c.payload)
_READ = prepare(
    sa.select(_with_bytes, _hold.label("hold"))
    .where(_with_bytes.c.bytes - _size < BYTES_PER_ROUND)
    .order_by(_with_bytes.c.position)
)

_lease = array_rows("lease", lane=sa.SmallInteger, token=sa.BigInteger)
_still_leased = sa.select(relay_lanes.c.lane).where(
    relay_lanes.c.lane == _lease.c.lane, relay_lanes.c.token == _lease.c.token
)


def _lane_is_in(lanes: sa.Select[Any]) -> sa.ColumnElement[bool]:
    return outbox_pending.c.lane == sa.any_(sa.func.array(lanes.scalar_subquery()))


# Rows of a lane that is leased to another relay are left to that relay.
_is_ours = _lane_is_in(_still_leased)
# Until the end of the transaction, no other relay takes the lane: it would look for held rows before this move is
# visible, and publish later events of the same keys.
_stays_ours = _lane_is_in(_still_leased.with_for_update(read=True, of=relay_lanes))
_is_named = (outbox_pending.c.hold == _hold) & (
    _position == sa.any_(sa.bindparam("positions", type_=ARRAY(sa.BigInteger)))
)
_MARK = prepare(sa.delete(outbox_pending).where(_is_named, _is_ours))
_MOVE = prepare(
    sa.update(outbox_pending).where(_is_named, _stays_ours).values(hold=sa.bindparam("to_hold", type_=sa.Integer))
)
_FREE = prepare(
    sa.update(outbox_pending).where(outbox_pending.c.hold == _hold, _is_ours).values(hold=sa.literal_column(str(READY)))
)
_taken = (
    sa.delete(outbox_pending)
    .where(outbox_pending.c.hold == _hold, _position == sa.bindparam("parked_position", type_=sa.BigInteger), _is_ours)
    .returning(_position, outbox_pending.c.lane)
    .cte("taken")
)
_PARK = prepare(
    sa.insert(outbox_parked).from_select(
        ["position", "lane", "topic", "key", "error"],
        sa.select(_taken, outbox.c.topic, outbox.c.key, sa.bindparam("error", type_=sa.Text)).join_from(
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
    marked_count = 0
    for hold, positions in _by_hold(rows):
        marked_count += await _MARK.execute(connection, hold=hold, positions=positions, **_named(tokens))
    return marked_count


async def hold_back(connection: Connection, rows: Iterable[Row], to_hold: int, tokens: Tokens) -> None:
    """Move rows to a hold, where `read_pending` reads them only by its id."""
    for hold, positions in _by_hold(rows):
        if hold != to_hold:
            await _MOVE.execute(connection, hold=hold, positions=positions, to_hold=to_hold, **_named(tokens))


async def free(connection: Connection, hold: int, tokens: Tokens) -> None:
    """Make the rows that are left of a hold ready."""
    await _FREE.execute(connection, hold=hold, **_named(tokens))


async def park(connection: Connection, row: Row, error: str, tokens: Tokens) -> bool:
    """Park a row until an operator replays it; the later ones of its key wait for it. False if the lease was lost."""
    place = {"hold": row["hold"], "parked_position": row["position"]}
    return await _PARK.execute(connection, **place, error=storable(error, LONGEST_ERROR), **_named(tokens)) == 1


def grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _by_hold(rows: Iterable[Row]) -> Iterator[tuple[int, list[int]]]:
    for hold, rows_of_hold in grouped(rows, itemgetter("hold")).items():
        yield hold, [row["position"] for row in rows_of_hold]


def _named(tokens: Tokens) -> dict[str, list[int]]:
    return {"lanes": list(tokens), "tokens": list(tokens.values())}
