"""Reading returns: one, a page of many, counts by status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from common.aggregates.among import Among
from common.aggregates.paged_list import PagedList
from common.database.statements import Connection, prepare
from sqlalchemy import ColumnElement, Interval, Numeric, Text, Uuid, bindparam, cast, func, literal, select

from returns.domain.return_ import ReturnStatus
from returns.repository.rows import RETURNS
from returns.tables import return_search, returns


@dataclass(frozen=True, slots=True)
class ReturnFilter:
    """Conditions on listed returns; None is no condition. Both ends of a range are included.

    `q` are beginnings of words: of the order's number, and of the customer's name and e-mail address.
    """

    customer_id: UUID | None = None
    order_id: UUID | None = None
    status: ReturnStatus | tuple[ReturnStatus, ...] | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    refund_from: Decimal | None = None
    refund_to: Decimal | None = None
    external_id: str | None = None
    q: str | None = None


class ReturnSort(StrEnum):
    NEWEST = "-created_at"
    OLDEST = "created_at"
    LAST_CHANGED = "-updated_at"
    FIRST_CHANGED = "updated_at"
    LARGEST = "-refund_amount"
    SMALLEST = "refund_amount"


_CONDITIONS: Mapping[str, ColumnElement[bool] | Among] = {
    # Without the column's precision: PostgreSQL would round the limits, or find them too large.
    "refund_from": returns.c.refund_amount >= bindparam("refund_from", type_=Numeric()),
    "refund_to": returns.c.refund_amount <= bindparam("refund_to", type_=Numeric()),
    "q": Among.having_words(return_search, "q"),
}
_WALKS = {
    "created_at": ("customer_id", "status", "created_from", "created_to"),
    "updated_at": ("status",),
    "refund_amount": ("status", "refund_from", "refund_to"),
}

find = RETURNS.find
get = RETURNS.get
is_visible = RETURNS.is_visible
# A return may have metadata of 100 kB: a page ends before it has more than 2 MB of it (ADR 21).
METADATA_PER_PAGE = 2_000_000
_metadata_bytes = func.coalesce(func.octet_length(cast(returns.c.metadata, Text)), 0)
_LIST = PagedList(
    RETURNS, ReturnFilter, conditions=_CONDITIONS, walks=_WALKS, size=_metadata_bytes, page_size=METADATA_PER_PAGE
)
find_page = _LIST.find_page
find_uncounted = _LIST.find_uncounted
_BY_EXTERNAL_ID = prepare(
    select(returns.c.id).where(
        returns.c.external_id == bindparam("external_id", type_=Text),
        returns.c.external_id_owner == bindparam("owner", type_=Uuid),
    )
)
# The state is spelled out, so that the index of states is used.
_age = func.now() - returns.c.created_at
_UNREVIEWED = prepare(
    select(
        func.extract("epoch", func.max(_age)).label("oldest_age"),
        func.count().filter(_age > bindparam("review_within", type_=Interval)).label("overdue"),
    ).where(returns.c.status == literal(ReturnStatus.REQUESTED, literal_execute=True))
)


@dataclass(frozen=True, slots=True)
class Unreviewed:
    """Of the returns without a decision: the age of the oldest in seconds, and how many are overdue."""

    oldest_age: float | None
    overdue: int


async def find_unreviewed(connection: Connection, review_within: timedelta) -> Unreviewed:
    [row] = await _UNREVIEWED.fetch_all(connection, review_within=review_within)
    return Unreviewed(**row)


async def find_by_external_id(connection: Connection, external_id: str, owner: UUID) -> UUID | None:
    """The id of the owner's return."""
    return_id: UUID | None = await _BY_EXTERNAL_ID.fetch_value(connection, external_id=external_id, owner=owner)
    return return_id
