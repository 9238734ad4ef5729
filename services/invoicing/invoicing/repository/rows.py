"""Conversion between invoices and their rows."""

from typing import Any

from common.aggregates.table import AggregateTable
from common.database.statements import Record
from common.money import quantize
from msgspec import convert

from invoicing.domain.invoice import Invoice
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
_INVOICE = tuple(name for name in Invoice.__slots__ if name in invoices.c)


def invoice_values(invoice: Invoice) -> dict[str, Any]:
    document, failure = invoice.document, invoice.failure
    return {
        **{name: getattr(invoice, name) for name in _INVOICE},
        "document_sha256": document and document.sha256,
        "document_size_bytes": document and document.size_bytes,
        "failed_step": failure and failure.step,
        "error": failure and failure.error,
        "attempts": failure and failure.attempts,
    }


def to_invoice(row: Record) -> Invoice:
    """Amounts have four decimals in the row, and those of their currency in the invoice."""
    values = dict(row)
    for name in ("net_amount", "tax_amount", "total_amount"):
        values[name] = quantize(values[name], values["currency"])
    if row["document_sha256"] is not None:
        values["document"] = {"sha256": row["document_sha256"], "size_bytes": row["document_size_bytes"]}
    if row["failed_step"] is not None:
        values["failure"] = {"step": row["failed_step"], "error": row["error"], "attempts": row["attempts"]}
    return convert(values, Invoice)


INVOICES = AggregateTable(
    invoices, ENTITY, columns=tuple(invoices.c), load=to_invoice, dump=invoice_values, changing=_CHANGING
)
