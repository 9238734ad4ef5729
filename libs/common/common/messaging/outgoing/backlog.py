"""How many events of the outbox are not published, and since when."""

import sqlalchemy as sa

from common.database.statements import Connection, Record, prepare
from common.database.tables import outbox, outbox_parked, outbox_pending

_first = sa.select(sa.func.min(outbox_pending.c.position)).scalar_subquery()
_first_written = sa.select(outbox.c.created_at).where(outbox.c.position == _first).scalar_subquery()
_number = sa.func.count()
_OUTBOX = prepare(
    sa.select(
        sa.select(_number).select_from(outbox_pending).scalar_subquery().label("pending"),
        sa.select(_number).where(outbox_pending.c.hold != 0).scalar_subquery().label("held_back"),
        sa.select(_number).select_from(outbox_parked).scalar_subquery().label("parked"),
        sa.func.extract("epoch", sa.func.now() - _first_written).label("oldest_age"),
    )
)


async def measure_outbox(connection: Connection) -> Record:
    """`pending`, of them `held_back`, and `parked`: numbers of events; `oldest_age` in seconds, None without any."""
    (row,) = await _OUTBOX.fetch_all(connection)
    return row
