"""The kinds of jobs, and how one is enqueued for a refund."""

from common.audit.actor import Actor
from common.jobs.job import NewJob

from refunds.domain.refund import Refund

REFUND_JOB = "refund"
MAIL_JOB = "refund-mail"


def new_job(kind: str, refund: Refund, actor: Actor) -> NewJob:
    """One per request and kind, for ever."""
    return NewJob.caused_by(actor, kind, refund.request.business_key, {"refund_id": refund.id})
