"""What only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.aggregates.paged_list import PagedList
from common.database.statements import Connection, prepare
from common.database.tables import job_attempts, jobs
from sqlalchemy import ARRAY, Text, Uuid, any_, bindparam, select

from refunds.domain import Refund
from refunds.repository.rows import REFUNDS, refund_columns, to_refund
from refunds.tables import refunds


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a refund's job; `outcome` and `finished_at` are None while it runs."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None


_ATTEMPT = tuple(Attempt.__dataclass_fields__)
_FIND = prepare(select(*refund_columns).where(refunds.c.id == bindparam("refund_id", type_=Uuid)))
_ATTEMPTS = prepare(
    select(jobs.c.business_key, *(job_attempts.c[name] for name in _ATTEMPT))
    .join_from(jobs, job_attempts)
    .where(jobs.c.kind == bindparam("kind"), jobs.c.business_key == any_(bindparam("keys", type_=ARRAY(Text))))
    .order_by(job_attempts.c.number)
)


_FILTERS = {name: refunds.c[name] == bindparam(name) for name in ("order_id", "return_id", "status")}
_LIST = PagedList(REFUNDS, _FILTERS)


async def find(connection: Connection, refund_id: UUID) -> Refund | None:
    row = await _FIND.fetch_one(connection, refund_id=refund_id)
    return None if row is None else to_refund(row)


async def get(connection: Connection, refund_id: UUID) -> Refund:
    """Raises `LookupError` when there is no such refund."""
    refund = await find(connection, refund_id)
    if refund is None:
        raise LookupError(f"no refund {refund_id}")
    return refund


find_page = _LIST.find_page


async def attempts_of(connection: Connection, kind: str, of: Sequence[Refund]) -> dict[str, list[Attempt]]:
    """The attempts of these refunds' jobs by business key, oldest first; none of a job that was purged."""
    found: dict[str, list[Attempt]] = {refund.reference: [] for refund in of}
    for row in await _ATTEMPTS.fetch_all(connection, kind=kind, keys=list(found)):
        found[row["business_key"]].append(Attempt(*(row[name] for name in _ATTEMPT)))
    return found
