"""Reading invoices: one, its snapshot, a page of many, counts by status."""

from uuid import UUID

import msgspec
from common.database.paging import PagedQuery
from common.database.statements import Connection, prepare
from common.paging import Page, Paging
from sqlalchemy import ColumnElement, Integer, bindparam, func, literal, select

from invoicing.domain.invoice import Invoice, InvoiceStatus
from invoicing.domain.numbering import SERIES
from invoicing.domain.snapshot import Snapshot
from invoicing.repository.rows import INVOICES, to_invoice
from invoicing.tables import invoice_snapshots, invoices, number_series

_FIND_OF_ORDER = prepare(select(invoices).where(invoices.c.order_id == bindparam("order_id")))
_FIND_SNAPSHOT = prepare(
    select(invoice_snapshots.c.snapshot).where(invoice_snapshots.c.invoice_id == bindparam("invoice_id"))
)


def _as_literal(status: InvoiceStatus) -> ColumnElement[str]:
    """A literal in the SQL text, so that the planner can use the partial index."""
    return literal(status.value, literal_execute=True)


# Exact and fast at any size: a series without gaps counts its own invoices, and few are not issued. Each statement
# reads the page and all totals in one snapshot, so that they agree.
_numbers = (
    select(func.coalesce(func.sum(number_series.c.last_position), 0))
    .where(number_series.c.kind == SERIES)
    .scalar_subquery()
)
_not_issued = invoices.c.status != _as_literal(InvoiceStatus.ISSUED)


def _total(status: InvoiceStatus | None) -> ColumnElement[int]:
    if status is None:
        return _numbers
    counted = _not_issued if status is InvoiceStatus.ISSUED else invoices.c.status == _as_literal(status)
    number = select(func.count()).select_from(invoices).where(counted).scalar_subquery()
    return _numbers - number if status is InvoiceStatus.ISSUED else number


def _page(status: InvoiceStatus | None) -> PagedQuery[Invoice]:
    of_status = () if status is None else (invoices.c.status == _as_literal(status),)
    page = (
        select(invoices)
        .where(*of_status)
        .order_by(invoices.c.created_at.desc(), invoices.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
        .offset(bindparam("offset", type_=Integer))
        .subquery("page")
    )
    return PagedQuery(page, _total(status), page.c.created_at.desc(), page.c.id.desc(), load=to_invoice)


_PAGES = {status: _page(status) for status in (None, *InvoiceStatus)}
_COUNT = prepare(select(*(_total(status).label(status.value) for status in InvoiceStatus)))

find = INVOICES.find


async def find_of_order(connection: Connection, order_id: UUID) -> Invoice | None:
    row = await _FIND_OF_ORDER.fetch_one(connection, order_id=order_id)
    return None if row is None else to_invoice(row)


async def find_snapshot(connection: Connection, invoice_id: UUID) -> Snapshot:
    """Raises `LookupError` for an id that no invoice has."""
    snapshot = await _FIND_SNAPSHOT.fetch_value(connection, invoice_id=invoice_id)
    if snapshot is None:
        raise LookupError(f"no invoice {invoice_id}")
    return msgspec.convert(snapshot, Snapshot)


async def find_page(connection: Connection, status: InvoiceStatus | None, paging: Paging) -> Page[Invoice]:
    """Newest first; of every status when it is None."""
    return await _PAGES[status].fetch(connection, paging)


async def count_by_status(connection: Connection) -> dict[InvoiceStatus, int]:
    [row] = await _COUNT.fetch_all(connection)
    return {status: int(row[status.value]) for status in InvoiceStatus}
