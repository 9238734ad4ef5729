"""Reading orders: one, a page of many, counts by status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from common.aggregates.among import Among
from common.aggregates.paged_list import PagedList
from common.database.statements import Connection, Record, prepare
from common.paging import Page
from sqlalchemy import ColumnElement, DateTime, Integer, Numeric, Text, Uuid, bindparam, func, or_, select

from orders.domain.states import OrderStatus
from orders.repository.rows import ORDERS, size_in_lines
from orders.tables import order_search, orders, payments


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Conditions on listed orders; None is no condition. Both ends of a range are included.

    `q` are beginnings of words: of the order's number, and of the customer's name and e-mail address.
    """

    customer_id: UUID | None = None
    status: OrderStatus | tuple[OrderStatus, ...] | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    order_number: str | None = None
    customer_email: str | None = None
    tracking_number: str | None = None
    payment_reference: str | None = None
    total_from: Decimal | None = None
    total_to: Decimal | None = None
    external_id: str | None = None
    q: str | None = None


class OrderSort(StrEnum):
    NEWEST = "-created_at"
    OLDEST = "created_at"
    LAST_CHANGED = "-updated_at"
    FIRST_CHANGED = "updated_at"
    LARGEST = "-total_amount"
    SMALLEST = "total_amount"


_reference = bindparam("payment_reference", type_=Text)
_having_payment = select(payments.c.order_id).where(
    or_(payments.c.reference == _reference, payments.c.first_reference == _reference)
)
_CONDITIONS: Mapping[str, ColumnElement[bool] | Among] = {
    "order_number": orders.c.order_number == func.upper(bindparam("order_number", type_=Text)),
    "customer_email": Among.having_words(
        order_search,
        "customer_email",
        also=func.lower(orders.c.customer_email) == func.lower(bindparam("customer_email", type_=Text)),
    ),
    "payment_reference": Among(_having_payment),
    # Without the column's precision: PostgreSQL would round the limits, or find them too large.
    "total_from": orders.c.total_amount >= bindparam("total_from", type_=Numeric()),
    "total_to": orders.c.total_amount <= bindparam("total_to", type_=Numeric()),
    "q": Among.having_words(order_search, "q"),
}
_WALKS = {
    "created_at": ("customer_id", "status", "created_from", "created_to"),
    "updated_at": ("status",),
    "total_amount": ("status", "total_from", "total_to"),
}
# An order may have 200 lines, and metadata of 100 kB: a page of a hundred such orders would be of 30 MB, and take
# seconds to make (ADR 21).
LINES_PER_PAGE = 2_000

find = ORDERS.find
is_visible = ORDERS.is_visible
_LIST = PagedList(
    ORDERS, OrderFilter, conditions=_CONDITIONS, walks=_WALKS, size=size_in_lines, page_size=LINES_PER_PAGE
)
find_page = _LIST.find_page
find_uncounted = _LIST.find_uncounted
# Of the orders that a bulk change selects.
_SELECTING = {
    "customer_id": orders.c.customer_id == bindparam("customer_id", type_=Uuid),
    "status": orders.c.status == bindparam("status", type_=Text),
    "created_from": orders.c.created_at >= bindparam("created_from", type_=DateTime(timezone=True)),
    "created_to": orders.c.created_at <= bindparam("created_to", type_=DateTime(timezone=True)),
}
_matches = [
    or_(bindparam(name, type_=condition.right.type).is_(None), condition) for name, condition in _SELECTING.items()
]
_matching = select(func.count()).select_from(orders).where(*_matches).scalar_subquery()
_SELECT = prepare(
    select(orders.c.id, orders.c.status, orders.c.version, _matching.label("matched"))
    .where(*_matches)
    .order_by(orders.c.created_at, orders.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_BY_EXTERNAL_ID = prepare(
    select(orders.c.id, orders.c.order_number).where(
        orders.c.external_id == bindparam("external_id", type_=Text),
        orders.c.external_id_owner == bindparam("owner", type_=Uuid),
    )
)


async def find_by_external_id(connection: Connection, external_id: str, owner: UUID) -> Record | None:
    """`id` and `order_number` of the owner's order."""
    return await _BY_EXTERNAL_ID.fetch_one(connection, external_id=external_id, owner=owner)


async def select_oldest(connection: Connection, filters: OrderFilter, limit: int) -> Page[Record]:
    """`id`, `status` and `version` of the oldest orders that match, and the number of all that do."""
    values = {name: getattr(filters, name) for name in _SELECTING}
    rows = await _SELECT.fetch_all(connection, **values, limit=limit)
    return Page(rows, rows[0]["matched"] if rows else 0)
