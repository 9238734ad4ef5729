"""The kinds of jobs: how one is enqueued for a refund, and identified in its dead letter and in the logs."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from common.audit.actor import Actor
from common.jobs.handler import Subject
from common.jobs.job import Job, NewJob

from refunds.domain.refund import Refund, RefundStatus

REFUND_JOB = "refund"
MAIL_JOB = "refund-mail"
EVENT_JOB = "gateway-event"
# The outcomes that a customer is told by e-mail.
SUCCEEDED, SETTLED, REVERSED, FAILED = "SUCCEEDED", "SETTLED", "REVERSED", "FAILED"
# The refund ended, and nothing was paid.
FAILURES = frozenset({RefundStatus.DECLINED, RefundStatus.FAILED})


def new_job(kind: str, refund: Refund, actor: Actor) -> NewJob:
    """One per request and kind, for ever."""
    return NewJob.caused_by(actor, kind, refund.request.business_key, {"refund_id": refund.id})


@dataclass(frozen=True, slots=True)
class Part:
    """The outcome of a part of a refund, under the id of this payment."""

    amount: Decimal
    transaction_id: str


def mail_job(refund: Refund, actor: Actor, part: Part | None = None) -> NewJob:
    """The e-mail about a refund's outcome, or that of a part: one for each outcome, of which a refund can have several
    in turn."""
    outcome = mail_outcome(refund)
    payload: dict[str, object] = {"refund_id": refund.id, "outcome": outcome}
    if part is not None:
        payload |= {"amount": str(part.amount), "transaction_id": part.transaction_id}
    transaction_id = refund.transaction_id if part is None else part.transaction_id
    key = mail_key(refund.request.business_key, outcome, transaction_id)
    return NewJob.caused_by(actor, MAIL_JOB, key, payload)


def part_of(job: Job) -> Part | None:
    """What the e-mail is about; None for the whole refund."""
    payload = job.payload
    return Part(Decimal(payload["amount"]), payload["transaction_id"]) if "amount" in payload else None


def mail_key(business_key: str, outcome: str, transaction_id: str | None) -> str:
    """The customer is told once that a refund failed: a replay that fails again is nothing new for them."""
    if outcome == SUCCEEDED:
        return business_key
    return f"{business_key}:{outcome}" if outcome == FAILED else f"{business_key}:{outcome}:{transaction_id}"


def mail_outcome(refund: Refund) -> str:
    """What the customer is told: one of the four outcomes of e-mails."""
    if refund.status in FAILURES:
        return FAILED
    if refund.status is RefundStatus.REVERSED:
        return REVERSED
    return SETTLED if refund.settled_by_hand else SUCCEEDED


def refund_id(job: Job) -> UUID:
    return UUID(job.payload["refund_id"])


def subject(refund: Refund) -> Subject:
    order_id = str(refund.request.order_id)
    return Subject(
        order_id, {"refund_id": str(refund.id), "order_id": order_id, "transaction_id": refund.transaction_id}
    )
