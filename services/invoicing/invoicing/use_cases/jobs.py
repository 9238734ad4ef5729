"""The kinds of jobs: how one is enqueued for an invoice, and identified in its dead letter and in the logs."""

from datetime import datetime
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


def new_document_job(invoice: Invoice, shipped_at: datetime, actor: Actor) -> NewJob:
    payload = {"invoice_id": invoice.id, "shipped_at": shipped_at}
    return NewJob.caused_by(actor, DOCUMENT_JOB, str(invoice.order_id), payload)


def shipped_at(job: Job) -> datetime | None:
    """None for a job of a version that did not know it."""
    text = job.payload.get("shipped_at")
    return None if text is None else datetime.fromisoformat(text)


def invoice_id(job: Job) -> UUID:
    return UUID(job.payload["invoice_id"])


def subject(invoice: Invoice) -> Subject:
    order_id = str(invoice.order_id)
    return Subject(order_id, {"invoice_number": invoice.number, "order_id": order_id})
