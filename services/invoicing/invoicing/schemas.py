"""Response bodies of invoices."""

from datetime import datetime
from uuid import UUID

from common.edge.requests.fields import ExactNumber
from typing_extensions import TypedDict

from invoicing.domain.invoice import Document, Invoice, InvoiceStatus, MailStatus, Step


class InvoiceResponse(TypedDict):
    """`failed_step`, `error` and `attempts` tell of the latest final failure that was not mended yet."""

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


def invoice_response(invoice: Invoice) -> InvoiceResponse:
    failure = invoice.failure
    return {
        "id": invoice.id,
        "invoice_number": invoice.number,
        "order_id": invoice.order_id,
        "order_number": invoice.order_number,
        "customer_id": invoice.customer_id,
        "status": invoice.status,
        "mail_status": invoice.mail_status,
        "currency": invoice.currency,
        "net_amount": invoice.net_amount,
        "tax_amount": invoice.tax_amount,
        "total_amount": invoice.total_amount,
        "document": invoice.document,
        "failed_step": None if failure is None else failure.step,
        "error": None if failure is None else failure.error,
        "attempts": None if failure is None else failure.attempts,
        "created_at": invoice.created_at,
        "issued_at": invoice.issued_at,
    }
