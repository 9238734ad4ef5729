"""How a job of invoicing is identified in its dead letter and in the logs."""

from uuid import UUID

from common.jobs.handler import Subject
from common.jobs.job import Job

from invoicing.domain.invoice import Invoice


def invoice_id(job: Job) -> UUID:
    return UUID(job.payload["invoice_id"])


def subject(invoice: Invoice) -> Subject:
    order_id = str(invoice.order_id)
    return Subject(order_id, {"invoice_number": invoice.number, "order_id": order_id})
