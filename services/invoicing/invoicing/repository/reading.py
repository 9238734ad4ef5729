"""Finding invoices without changing anything."""

from uuid import UUID

import msgspec
from common.database.statements import Connection, Statement, prepare
from sqlalchemy import ColumnElement, Integer, bindparam, func, literal, select

from invoicing.domain import SERIES, Invoice, InvoiceStatus, Snapshot
from invoicing.repository.rows import to_invoice
from invoicing.tables import invoice_snapshots, invoices, number_series

_FIND = prepare(select(invoices).where(invoices.c.id == bindparam("invoice_id")))
_FIND_OF_ORDER = prepare(select(invoices).where(invoices.c.order_id == bindparam("order_id")))
_FIND_SNAPSHOT = prepare(
    select(invoice_snapshots.c.snapshot).where(invoice_snapshots.c.invoice_id == bindparam("invoice_id"))
)


def _page(*conditions: ColumnElement[bool]) -> Statement:
    return prepare(
        select(invoices)
        .where(*conditions)
        .order_by(invoices.c.created_at.desc(), invoices.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
        .offset(bindparam("offset", type_=Integer))
    )


def _spelled_out(status: InvoiceStatus) -> ColumnElement[str]:
    """For the planner, which must see that the partial index applies."""
    return literal(status.value, literal_execute=True)


_PAGE = _page()
_PAGE_OF = {status: _page(invoices.c.status == _spelled_out(status)) for status in InvoiceStatus}
_COUNT_NUMBERS = prepare(
    select(func.coalesce(func.sum(number_series.c.last_position), 0)).where(number_series.c.kind == SERIES)
)
_COUNT_NOT_ISSUED = prepare(
    select(invoices.c.status, func.count().label("count"))
    .where(invoices.c.status != _spelled_out(InvoiceStatus.ISSUED))
    .group_by(invoices.c.status)
)


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


async def find_page(connection: Connection, status: InvoiceStatus | None, *, limit: int, offset: int) -> list[Invoice]:
    """Newest first; of every status when it is None."""
    page = _PAGE if status is None else _PAGE_OF[status]
    return [to_invoice(row) for row in await page.fetch_all(connection, limit=limit, offset=offset)]


async def count_by_status(connection: Connection) -> dict[InvoiceStatus, int]:
    """Exact, and cheap at any size: a series without gaps counts its own invoices, and few are not issued."""
    not_issued = {row["status"]: row["count"] for row in await _COUNT_NOT_ISSUED.fetch_all(connection)}
    numbers = int(await _COUNT_NUMBERS.fetch_value(connection))
    counts = {status: not_issued.get(status.value, 0) for status in InvoiceStatus}
    return counts | {InvoiceStatus.ISSUED: numbers - sum(not_issued.values())}
