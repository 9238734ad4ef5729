"""The work that an accepted invoice asks for."""

from common.audit.actor import Actor
from common.jobs.queue import NewJob

from invoicing.domain import Invoice

DOCUMENT_JOB = "invoice-document"
MAIL_JOB = "invoice-mail"


def new_job(kind: str, invoice: Invoice, actor: Actor) -> NewJob:
    """Once per order and kind, for ever."""
    return NewJob(
        kind=kind,
        business_key=str(invoice.order_id),
        payload={"invoice_id": invoice.id},
        traceparent=actor.traceparent,
        causation_id=actor.causation_id,
    )
