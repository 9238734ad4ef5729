"""What can be done with invoices: each function is one step, inside a transaction that its caller opened."""

from invoicing.use_cases.accepting import ShippedOrder, accept_shipped_orders
from invoicing.use_cases.reading import get_invoice, list_invoices
from invoicing.use_cases.steps import fail_document, fail_mail, issue_invoice, record_mail
from invoicing.use_cases.work import DOCUMENT_JOB, MAIL_JOB

SERVICE = "invoicing"

__all__ = [
    "DOCUMENT_JOB",
    "MAIL_JOB",
    "SERVICE",
    "ShippedOrder",
    "accept_shipped_orders",
    "fail_document",
    "fail_mail",
    "get_invoice",
    "issue_invoice",
    "list_invoices",
    "record_mail",
]
