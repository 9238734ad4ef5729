"""Response bodies of invoices."""

from datetime import datetime
from uuid import UUID

from common.edge.requests.fields import ExactNumber
from common.operators.timeline_results import Timeline
from typing_extensions import TypedDict

from invoicing.domain.invoice import Document, Invoice, InvoiceStatus, MailStatus, Step


class InvoiceResponse(TypedDict):
    """`failed_step`, `error` and `attempts` describe the latest permanent failure, until a replay succeeds."""

    id: UUID
    invoice_number: str
    order_id: UUID
    order_number: str
    customer_id: UUID
    status: InvoiceStatus
    mail_status: MailStatus
    currency: str
    net_amount: ExactNumber
    tax_amount: ExactNumber
    total_amount: ExactNumber
    document: Document | None
    failed_step: Step | None
    error: str | None
    attempts: int | None
    created_at: datetime
    issued_at: datetime | None


class TimelineInvoice(TypedDict):
    id: UUID
    number: str
    status: InvoiceStatus
    mail_status: MailStatus
    created_at: datetime
    issued_at: datetime | None
    failed_step: Step | None
    error: str | None


class InvoicingTimeline(Timeline):
    """`invoice` is null until the shipped order was processed."""

    invoice: TimelineInvoice | None


def invoice_response(invoice: Invoice) -> dict[str, object]:
    """The members of an `InvoiceResponse`."""
    failure = invoice.failure
    members = {
        **{name: getattr(invoice, name) for name in InvoiceResponse.__annotations__ if name in Invoice.__slots__},
        "invoice_number": invoice.number,
        "failed_step": failure and failure.step,
        "error": failure and failure.error,
        "attempts": failure and failure.attempts,
    }
    return {name: members[name] for name in InvoiceResponse.__annotations__}
