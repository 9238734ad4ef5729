"""Refunds that have not ended, and disputes that are not decided: their numbers, and the age of the oldest."""

from common.database.statements import Connection, prepare
from sqlalchemy import Double, and_, cast, func, literal, select

from refunds.tables import payment_disputes, refunds


def _has_status(*statuses: str) -> list[object]:
    return [literal(each, literal_execute=True) for each in statuses]


# The first condition is that of the partial index.
is_open = and_(
    refunds.c.status != literal("SUCCEEDED", literal_execute=True),
    refunds.c.status.not_in(_has_status("SUCCEEDED", "DECLINED", "FAILED", "REVERSED")),
)
_COUNT = prepare(select(refunds.c.status, func.count().label("rows")).where(is_open).group_by(refunds.c.status))
# During a call, its outcome is unknown for seconds; when its worker has ended, until a look-up.
_UNKNOWN_SECONDS = prepare(
    select(cast(func.extract("epoch", func.now() - func.min(refunds.c.called_at)), Double)).where(
        is_open, refunds.c.status.in_(_has_status("CALLING", "UNKNOWN"))
    )
)
_COUNT_DISPUTES = prepare(
    select(func.count()).select_from(payment_disputes).where(payment_disputes.c.status == "OPENED")
)


async def count_open(connection: Connection) -> dict[str, int]:
    """The refunds that have not ended, by status."""
    return {row["status"]: row["rows"] for row in await _COUNT.fetch_all(connection)}


async def unknown_seconds(connection: Connection) -> float:
    """For how long the outcome of a call has been unknown, of the refund for which it is longest; 0 without one."""
    seconds: float | None = await _UNKNOWN_SECONDS.fetch_value(connection)
    return seconds or 0.0


async def count_open_disputes(connection: Connection) -> int:
    number: int = await _COUNT_DISPUTES.fetch_value(connection)
    return number
