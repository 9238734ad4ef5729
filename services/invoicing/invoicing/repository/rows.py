"""Conversion between invoices and their rows."""

from typing import Any

from common.aggregates.table import AggregateTable
from common.database.statements import Record
from common.money import quantize

from invoicing.domain.invoice import Document, Failure, Invoice, InvoiceStatus, MailStatus, Step
from invoicing.tables import ENTITY, invoices

_CHANGING = (
    "status",
    "mail_status",
    "issued_at",
    "document_sha256",
    "document_size_bytes",
    "failed_step",
    "error",
    "attempts",
)
_UNCHANGING = (
    "id",
    "seller",
    "number",
    "order_id",
    "order_number",
    "customer_id",
    "currency",
    "net_amount",
    "tax_amount",
    "total_amount",
    "created_at",
)


def invoice_values(invoice: Invoice) -> dict[str, Any]:
    document, failure = invoice.document, invoice.failure
    return {
        **{name: getattr(invoice, name) for name in _UNCHANGING},
        "status": invoice.status.value,
        "mail_status": invoice.mail_status.value,
        "issued_at": invoice.issued_at,
        "document_sha256": None if document is None else document.sha256,
        "document_size_bytes": None if document is None else document.size_bytes,
        "failed_step": None if failure is None else failure.step.value,
        "error": None if failure is None else failure.error,
        "attempts": None if failure is None else failure.attempts,
    }


def to_invoice(row: Record) -> Invoice:
    """Amounts have four decimals in the row, and those of their currency in the invoice."""
    sha256, failed_step = row["document_sha256"], row["failed_step"]
    return Invoice(
        id=row["id"],
        seller=row["seller"],
        number=row["number"],
        order_id=row["order_id"],
        order_number=row["order_number"],
        customer_id=row["customer_id"],
        currency=row["currency"],
        net_amount=quantize(row["net_amount"], row["currency"]),
        tax_amount=quantize(row["tax_amount"], row["currency"]),
        total_amount=quantize(row["total_amount"], row["currency"]),
        status=InvoiceStatus(row["status"]),
        mail_status=MailStatus(row["mail_status"]),
        created_at=row["created_at"],
        issued_at=row["issued_at"],
        document=None if sha256 is None else Document(sha256, row["document_size_bytes"]),
        failure=None if failed_step is None else Failure(Step(failed_step), row["error"], row["attempts"]),
    )


INVOICES = AggregateTable(
    invoices,
    ENTITY,
    columns=tuple(invoices.c),
    load=to_invoice,
    dump=invoice_values,
    changing=_CHANGING,
)
