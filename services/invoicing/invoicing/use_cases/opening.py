"""Open invoices for shipped orders: numbered and frozen here, rendered and sent by the worker."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from common.aggregates.changes import New
from common.audit.actor import Actor
from common.database.statements import Connection
from common.jobs import queue
from common.jobs.job import NewJob

from invoicing.domain.invoice import Invoice, InvoiceStatus, MailStatus
from invoicing.domain.numbering import UTC_CALENDAR, SellerCalendar, invoice_number
from invoicing.domain.snapshot import Buyer, Seller, Snapshot
from invoicing.events import OrderShippedView
from invoicing.repository import writing
from invoicing.repository.writing import LockedSeries
from invoicing.use_cases.jobs import new_document_job


async def open_invoices(
    connection: Connection,
    seller: Seller,
    orders: Sequence[tuple[OrderShippedView, Actor]],
    calendar: SellerCalendar = UTC_CALENDAR,
) -> int:
    """Number, freeze and enqueue an invoice for every order that has none yet, in the given order; returns how many.

    Dates, year and series are those of the seller's `calendar`. Raises `ValueError` for an order whose amounts do not
    add up; no number is used then.
    """
    first_events = {order.order_id: (order, actor) for order, actor in reversed(orders)}
    series = await writing.lock_series(connection, seller.id, calendar.nearest_new_year(datetime.now(UTC)))
    invoiced_order_ids = await writing.find_invoiced(connection, list(first_events))
    open_orders = [each for order_id, each in reversed(first_events.items()) if order_id not in invoiced_order_ids]
    new = [
        _open(_freeze(order, seller, calendar, series.at, invoice_number(series.year, position)), series, actor)
        for position, (order, actor) in enumerate(open_orders, start=series.last_position + 1)
    ]
    if new:
        await writing.add(connection, series, new)
        await queue.enqueue(connection, *[_document_job(each, first_events[each.value.order_id][0]) for each in new])
    return len(new)


def _document_job(opened: New[Invoice], order: OrderShippedView) -> NewJob:
    return new_document_job(opened.value, order.shipped_at, opened.actor)


def _open(snapshot: Snapshot, series: LockedSeries, actor: Actor) -> New[Invoice]:
    snapshot.require_consistency()
    invoice = Invoice(
        id=uuid4(),
        seller=series.seller,
        number=snapshot.invoice_number,
        order_id=snapshot.order_id,
        order_number=snapshot.order_number,
        customer_id=snapshot.buyer.customer_id,
        currency=snapshot.currency,
        net_amount=snapshot.net_amount,
        tax_amount=snapshot.tax_amount,
        total_amount=snapshot.total_amount,
        status=InvoiceStatus.PENDING,
        mail_status=MailStatus.PENDING if snapshot.buyer.email else MailStatus.NO_ADDRESS,
        created_at=series.at,
    )
    details = {"invoice_number": invoice.number, "order_id": invoice.order_id}
    return New(invoice, actor, details, (writing.new_snapshot(snapshot),))


def _freeze(
    order: OrderShippedView, seller: Seller, calendar: SellerCalendar, accepted_at: datetime, number: str
) -> Snapshot:
    return Snapshot(
        invoice_number=number,
        invoice_date=calendar.day_of(accepted_at),
        order_id=order.order_id,
        order_number=order.order_number,
        shipped_on=calendar.day_of(order.shipped_at),
        payment_method=order.payment_method,
        payment_reference=order.payment_reference,
        seller=seller,
        buyer=Buyer(
            customer_id=order.customer_id,
            name=order.customer_name,
            email=order.customer_email,
            vat_id=order.buyer_vat_id,
            address=order.billing_address,
        ),
        shipping_address=order.shipping_address,
        currency=order.currency,
        lines=order.line_items,
        taxes=order.taxes,
        net_amount=order.net_amount,
        tax_amount=order.tax_amount,
        total_amount=order.total_amount,
    )
