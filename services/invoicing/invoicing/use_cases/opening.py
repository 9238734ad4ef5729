"""Shipped orders become invoices: numbered and frozen at once, made and sent later."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from common.audit.actor import Actor
from common.audit.entries import AuditEntry
from common.database.statements import Connection
from common.jobs import queue

from invoicing import repository
from invoicing.domain import (
    UTC_CALENDAR,
    Address,
    Buyer,
    Invoice,
    InvoiceStatus,
    Line,
    MailStatus,
    Seller,
    SellerCalendar,
    Snapshot,
    Tax,
    invoice_number,
)
from invoicing.events import AddressView, OrderShippedView
from invoicing.repository import LockedSeries, NewInvoice
from invoicing.use_cases.jobs import DOCUMENT_JOB, new_job


@dataclass(frozen=True, slots=True)
class ShippedOrder:
    """An order to be invoiced, and what told us of it."""

    order: OrderShippedView
    actor: Actor


async def accept_shipped_orders(
    connection: Connection, seller: Seller, shipped: Sequence[ShippedOrder], calendar: SellerCalendar = UTC_CALENDAR
) -> int:
    """Number, freeze and queue an invoice for every order that has none yet, in the order given; returns how many.

    Their dates, year and series are those of the seller's `calendar`. Raises `ValueError` for an order whose amounts
    do not add up; no number is used then.
    """
    first_mention = {each.order.order_id: each for each in reversed(shipped)}
    new_year = calendar.nearest_new_year(datetime.now(UTC))
    series = await repository.lock_series(connection, seller.id, new_year)
    invoiced = await repository.find_invoiced(connection, list(first_mention))
    open_orders = [each for order_id, each in reversed(first_mention.items()) if order_id not in invoiced]
    new = [
        _accept(seller, calendar, series, position, each)
        for position, each in enumerate(open_orders, start=series.last_position + 1)
    ]
    if new:
        await repository.add(connection, series, new)
        await queue.enqueue(connection, *[new_job(DOCUMENT_JOB, each.invoice, each.audit_entry.actor) for each in new])
    return len(new)


def _accept(
    seller: Seller, calendar: SellerCalendar, series: LockedSeries, position: int, shipped: ShippedOrder
) -> NewInvoice:
    snapshot = _freeze(shipped.order, seller, calendar, series.at, invoice_number(series.year, position))
    snapshot.require_consistency()
    invoice = Invoice(
        id=uuid4(),
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
    entry = AuditEntry(
        entity_type="INVOICE",
        entity_id=invoice.id,
        previous_state=None,
        new_state=invoice.status.value,
        outcome="ACCEPTED",
        actor=shipped.actor,
        created_at=series.at,
        details={"invoice_number": invoice.number, "order_id": invoice.order_id},
    )
    return NewInvoice(invoice, snapshot, entry)


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
            address=_address(order.billing_address),
        ),
        shipping_address=_address(order.shipping_address),
        currency=order.currency,
        lines=tuple(
            [
                Line(line.product_name, line.quantity, line.unit_price, line.tax_rate, line.subtotal)
                for line in order.line_items
            ]
        ),
        taxes=tuple([Tax(tax.rate, tax.net, tax.tax) for tax in order.taxes]),
        net_amount=order.net_amount,
        tax_amount=order.tax_amount,
        total_amount=order.total_amount,
    )


def _address(view: AddressView) -> Address:
    return Address(view.street, view.city, view.state, view.zip, view.country)
