"""The kinds of jobs, and how one is enqueued for an invoice."""

from common.audit.actor import Actor
from common.jobs.job import NewJob

from invoicing.domain.invoice import Invoice

DOCUMENT_JOB = "invoice-document"
MAIL_JOB = "invoice-mail"


def new_job(kind: str, invoice: Invoice, actor: Actor) -> NewJob:
    """One per order and kind, for ever."""
    return NewJob.caused_by(actor, kind, str(invoice.order_id), {"invoice_id": invoice.id})
