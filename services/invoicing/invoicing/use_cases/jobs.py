"""The kinds of jobs: how one is enqueued for an invoice, and identified in its dead letter and in the logs."""

from uuid import UUID

from common.audit.actor import Actor
from common.jobs.handler import Subject
from common.jobs.job import Job, NewJob

from invoicing.domain.invoice import Invoice

DOCUMENT_JOB = "invoice-document"
MAIL_JOB = "invoice-mail"


def new_job(kind: str, invoice: Invoice, actor: Actor) -> NewJob:
    """One per order and kind, for ever."""
    return NewJob.caused_by(actor, kind, str(invoice.order_id), {"invoice_id": invoice.id})


def invoice_id(job: Job) -> UUID:
    return UUID(job.payload["invoice_id"])


def subject(invoice: Invoice) -> Subject:
    order_id = str(invoice.order_id)
    return Subject(order_id, {"invoice_number": invoice.number, "order_id": order_id})
