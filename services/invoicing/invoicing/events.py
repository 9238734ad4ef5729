"""The events that invoicing publishes, and its view of events of orders (docs/reference/events.md)."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from common.audit.actor import Actor
from common.messaging.envelope import EventData, EventView
from common.messaging.outgoing.outbox import NewEvent

from invoicing.domain.invoice import Invoice
from invoicing.domain.snapshot import Address, Line, Tax

INVOICES_TOPIC = "articurated.invoices"
ORDERS_TOPIC = "articurated.orders"


class DocumentData(EventData):
    sha256: str
    size_bytes: int
    content_type: str


class InvoiceData(EventData):
    """The invoice's full state after the change; money as decimal strings in major units."""

    invoice_id: UUID
    invoice_number: str
    order_id: UUID
    order_number: str
    customer_id: UUID
    status: Literal["PENDING", "ISSUED", "FAILED"]
    currency: str
    net_amount: Decimal
    tax_amount: Decimal
    total_amount: Decimal
    issued_at: datetime | None
    document: DocumentData | None
    mail_status: Literal["PENDING", "SENT", "FAILED", "NO_ADDRESS"]
    failed_step: Literal["document", "mail"] | None
    error: str | None
    attempts: int | None


class InvoiceIssued(InvoiceData):
    """`invoice.issued`: the document is numbered and stored."""

    status: Literal["ISSUED"]
    issued_at: datetime
    document: DocumentData


class InvoiceFailed(InvoiceData):
    """`invoice.failed`: `step` says which step failed permanently, the document or its e-mail."""

    step: Literal["document", "mail"]
    failed_step: Literal["document", "mail"]
    error: str
    attempts: int


ISSUED, FAILED = "invoice.issued", "invoice.failed"
PUBLISHED: Mapping[str, type[InvoiceData]] = {ISSUED: InvoiceIssued, FAILED: InvoiceFailed}


def new_event(event_type: str, invoice: Invoice, actor: Actor) -> NewEvent:
    return NewEvent.by(
        actor,
        type=event_type,
        topic=INVOICES_TOPIC,
        aggregate_type="invoice",
        aggregate_id=invoice.id,
        key=invoice.order_id,
        data=invoice_data(event_type, invoice).model_dump_json().encode(),
    )


def invoice_data(event_type: str, invoice: Invoice) -> InvoiceData:
    document, failure = invoice.document, invoice.failure
    fields = {
        **{name: getattr(invoice, name) for name in InvoiceData.model_fields if name in Invoice.__slots__},
        "invoice_id": invoice.id,
        "invoice_number": invoice.number,
        "document": document and asdict(document),
        "failed_step": failure and failure.step,
        "error": failure and failure.error,
        "attempts": failure and failure.attempts,
    }
    if event_type == FAILED:
        fields["step"] = fields["failed_step"]
    return PUBLISHED[event_type].model_validate(fields)


class OrderShippedView(EventView):
    """View of `order.shipped`: what an invoice needs; lines, taxes and addresses are those of its snapshot."""

    order_id: UUID
    order_number: str
    customer_id: UUID
    customer_email: str | None = None
    customer_name: str | None = None
    buyer_vat_id: str | None = None
    currency: str
    line_items: tuple[Line, ...]
    taxes: tuple[Tax, ...]
    net_amount: Decimal
    tax_amount: Decimal
    total_amount: Decimal
    payment_method: str | None = None
    payment_reference: str | None = None
    shipping_address: Address
    billing_address: Address
    shipped_at: datetime
