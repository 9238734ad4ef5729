"""The kinds of jobs: how one is enqueued for a refund, and identified in its dead letter and in the logs."""

from uuid import UUID

from common.audit.actor import Actor
from common.jobs.handler import Subject
from common.jobs.job import Job, NewJob

from refunds.domain.refund import Refund, RefundStatus

REFUND_JOB = "refund"
MAIL_JOB = "refund-mail"
EVENT_JOB = "gateway-event"


def new_job(kind: str, refund: Refund, actor: Actor) -> NewJob:
    """One per request and kind, for ever."""
    return NewJob.caused_by(actor, kind, refund.request.business_key, {"refund_id": refund.id})


def mail_job(refund: Refund, actor: Actor) -> NewJob:
    """The e-mail about a refund's outcome: one for each outcome, of which a refund can have several in turn."""
    outcome = mail_outcome(refund)
    key = refund.request.business_key
    return NewJob.caused_by(
        actor,
        MAIL_JOB,
        key if outcome == RefundStatus.SUCCEEDED else f"{key}:{outcome}:{refund.transaction_id}",
        {"refund_id": refund.id, "outcome": outcome},
    )


def mail_outcome(refund: Refund) -> str:
    return "SETTLED" if refund.settled_by_hand else str(refund.status)


def refund_id(job: Job) -> UUID:
    return UUID(job.payload["refund_id"])


def subject(refund: Refund) -> Subject:
    order_id = str(refund.request.order_id)
    return Subject(
        order_id, {"refund_id": str(refund.id), "order_id": order_id, "transaction_id": refund.transaction_id}
    )
