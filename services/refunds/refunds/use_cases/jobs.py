"""The kinds of jobs: how one is enqueued for a refund, and identified in its dead letter and in the logs."""

from uuid import UUID

from common.audit.actor import Actor
from common.jobs.handler import Subject
from common.jobs.job import Job, NewJob

from refunds.domain.refund import Refund

REFUND_JOB = "refund"
MAIL_JOB = "refund-mail"


def new_job(kind: str, refund: Refund, actor: Actor) -> NewJob:
    """One per request and kind, for ever."""
    return NewJob.caused_by(actor, kind, refund.request.business_key, {"refund_id": refund.id})


def refund_id(job: Job) -> UUID:
    return UUID(job.payload["refund_id"])


def subject(refund: Refund) -> Subject:
    order_id = str(refund.request.order_id)
    return Subject(
        order_id, {"refund_id": str(refund.id), "order_id": order_id, "transaction_id": refund.transaction_id}
    )
