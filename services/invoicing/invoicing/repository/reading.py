"""Finding invoices without changing anything."""

from uuid import UUID

import msgspec
from common.database.statements import Connection, Statement, prepare
from common.paging import Page, Paging
from sqlalchemy import ColumnElement, Integer, bindparam, func, literal, select, true

from invoicing.domain import SERIES, Invoice, InvoiceStatus, Snapshot
from invoicing.repository.rows import to_invoice
from invoicing.tables import invoice_snapshots, invoices, number_series

_FIND = prepare(select(invoices).where(invoices.c.id == bindparam("invoice_id")))
_FIND_OF_ORDER = prepare(select(invoices).where(invoices.c.order_id == bindparam("order_id")))
_FIND_SNAPSHOT = prepare(
    select(invoice_snapshots.c.snapshot).where(invoice_snapshots.c.invoice_id == bindparam("invoice_id"))
)


def _spelled_out(status: InvoiceStatus) -> ColumnElement[str]:
    """For the planner, which must see that the partial index applies."""
    return literal(status.value, literal_execute=True)


# Exact, and cheap at any size: a series without gaps counts its own invoices, and few are not issued. Each statement
# counts and shows by one snapshot, so that a total never disagrees with the others or with the page beside it.
_numbers = (
    select(func.coalesce(func.sum(number_series.c.last_position), 0))
    .where(number_series.c.kind == SERIES)
    .scalar_subquery()
)
_not_issued = invoices.c.status != _spelled_out(InvoiceStatus.ISSUED)


def _total(status: InvoiceStatus | None) -> ColumnElement[int]:
    if status is None:
        return _numbers
    counted = _not_issued if status is InvoiceStatus.ISSUED else invoices.c.status == _spelled_out(status)
    number = select(func.count()).select_from(invoices).where(counted).scalar_subquery()
    return _numbers - number if status is InvoiceStatus.ISSUED else number


def _page(status: InvoiceStatus | None) -> Statement:
    """The total on every row; an empty page is a row without an invoice."""
    of_status = () if status is None else (invoices.c.status == _spelled_out(status),)
    page = (
        select(invoices)
        .where(*of_status)
        .order_by(invoices.c.created_at.desc(), invoices.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
        .offset(bindparam("offset", type_=Integer))
        .subquery("page")
    )
    total = select(_total(status).label("total")).subquery("counted")
    return prepare(
        select(total.c.total, page)
        .select_from(total.outerjoin(page, true()))
        .order_by(page.c.created_at.desc(), page.c.id.desc())
    )


_PAGES = {status: _page(status) for status in (None, *InvoiceStatus)}
_COUNT = prepare(select(*(_total(status).label(status.value) for status in InvoiceStatus)))


async def find(connection: Connection, invoice_id: UUID) -> Invoice | None:
    row = await _FIND.fetch_one(connection, invoice_id=invoice_id)
    return None if row is None else to_invoice(row)


async def find_of_order(connection: Connection, order_id: UUID) -> Invoice | None:
    row = await _FIND_OF_ORDER.fetch_one(connection, order_id=order_id)
    return None if row is None else to_invoice(row)


async def find_snapshot(connection: Connection, invoice_id: UUID) -> Snapshot:
    """Raises `LookupError` for an id that no invoice has."""
    found = await _FIND_SNAPSHOT.fetch_value(connection, invoice_id=invoice_id)
    if found is None:
        raise LookupError(f"no invoice {invoice_id}")
    return msgspec.convert(found, Snapshot)


async def find_page(connection: Connection, status: InvoiceStatus | None, paging: Paging) -> Page[Invoice]:
    """Newest first; of every status when it is None."""
    rows = await _PAGES[status].fetch_all(connection, limit=paging.limit, offset=paging.offset)
    return Page([to_invoice(row) for row in rows if row["id"] is not None], int(rows[0]["total"]))


async def count_by_status(connection: Connection) -> dict[InvoiceStatus, int]:
    [row] = await _COUNT.fetch_all(connection)
    return {status: int(row[status.value]) for status in InvoiceStatus}
