"""Invoices as plain Python, without I/O."""

from invoicing.domain.calendar import UTC_CALENDAR, NewYear, SellerCalendar
from invoicing.domain.invoice import PDF, Document, Failure, Invoice, InvoiceStatus, MailStatus, Step, TransitionRefused
from invoicing.domain.numbering import SERIES, invoice_number
from invoicing.domain.snapshot import (
    Address,
    Buyer,
    InconsistentOrder,
    Line,
    Seller,
    Snapshot,
    Tax,
    display_amount,
    display_rate,
)

__all__ = [
    "PDF",
    "SERIES",
    "UTC_CALENDAR",
    "Address",
    "Buyer",
    "Document",
    "Failure",
    "InconsistentOrder",
    "Invoice",
    "InvoiceStatus",
    "Line",
    "MailStatus",
    "NewYear",
    "Seller",
    "SellerCalendar",
    "Snapshot",
    "Step",
    "Tax",
    "TransitionRefused",
    "display_amount",
    "display_rate",
    "invoice_number",
]
