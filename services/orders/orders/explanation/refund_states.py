"""Findings by the state of one refund (ADR 36)."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from orders.explanation.evidence import Refund, RefundsTimeline
from orders.explanation.finding import OPERATORS, Action, Finding, Severity, State, clock, money, replay_job
from orders.explanation.service_timeline import Job


def findings_of(refunds: RefundsTimeline, refund: Refund) -> Iterator[Finding]:
    """Nothing where the refund's job says all: it is due, running, or between two attempts."""
    job = refunds.job("refund", refund.business_key)
    is_open = refund.status in ("READY", "CALLING", "UNKNOWN")
    is_failing = refunds.gateway.is_failing or refund.unreached_since is not None
    if is_open and is_failing and job is not None and _is_tried(job):
        yield _gateway_down(refunds, refund, job)
    elif refund.status in _BY_STATE:
        yield from _BY_STATE[refund.status](refunds, refund, job)


def is_explained(refunds: RefundsTimeline, refund: Refund) -> bool:
    """Whether its state says more than its job. That an operator has stopped the job is said beside its state."""
    job = refunds.job("refund", refund.business_key)
    is_stopped = job is not None and (job.state == "discarded" or (job.state == "ready" and job.paused_at is not None))
    return not is_stopped and any(findings_of(refunds, refund))


def _is_tried(job: Job) -> bool:
    """Whether a worker runs the job, or will at its due time."""
    return job.state in ("ready", "running") and job.paused_at is None


def _next_attempt(job: Job | None) -> datetime | None:
    return job.due_at if job is not None and job.state == "ready" and _is_tried(job) else None


def _gateway_down(refunds: RefundsTimeline, refund: Refund, job: Job) -> Finding:
    return Finding(
        cause="gateway-down",
        severity=Severity.WARNING,
        state=State.IN_PROGRESS,
        service="refunds",
        headline=f"The payment gateway does not answer: {refunds.gateway.error or refund.error}. "
        f"The refund of {_amount(refund)} waits, which uses up no attempts.",
        since=refund.unreached_since or refunds.gateway.failing_since,
        next="One refund at a time tries the gateway every second; all others follow as soon as it answers. "
        f"This one is due at {clock(job.due_at)}.",
        next_at=job.due_at,
        remedy="Look at the provider's status page; check PAYMENT_GATEWAY_URL, PAYMENT_GATEWAY_KEY and the network.",
    )


def _unknown(_refunds: RefundsTimeline, refund: Refund, job: Job | None) -> Iterator[Finding]:
    """The answer to a call was lost. It is never called again before a look-up shows what became of it."""
    if refund.status == "CALLING" and job is not None and job.state == "running":
        return
    headline = f"It is not known whether the refund of {_amount(refund)} was made: the answer to the call was lost"
    if job is None or job.state != "ready":
        if job is not None and job.state == "running":
            return
        is_discarded = job is not None and job.state == "discarded"
        why = "an operator has discarded its job" if is_discarded else "all attempts to find out are used up"
        yield Finding(
            cause="refund-unknown-for-good",
            severity=Severity.ERROR,
            state=State.STUCK,
            service="refunds",
            headline=f"{headline}, and {why}: {refund.error}.",
            since=refund.called_at,
            next="Nothing happens until an operator replays the job, or the provider reports the refund.",
            remedy=f"Look for {refund.business_key} in the provider's dashboard, then replay the job: it begins with a "
            "look-up, and pays nothing twice.",
            actions=() if job is None else (replay_job("refunds", job.id),),
        )
        return
    asked_at = _next_attempt(job)
    asked = "when the kind of its job is resumed" if asked_at is None else f"at {clock(asked_at)}"
    yield Finding(
        cause="refund-unknown",
        severity=Severity.WARNING,
        state=State.IN_PROGRESS,
        service="refunds",
        headline=f"{headline}.",
        since=refund.called_at,
        next=f"The gateway is asked for it {asked}; it is not called again before that is answered.",
        next_at=asked_at,
        remedy="None is needed, unless it lasts for minutes: then look at the provider's status page.",
    )


def _pending(_refunds: RefundsTimeline, refund: Refund, job: Job | None) -> Iterator[Finding]:
    asked_at = _next_attempt(job)
    asked = "" if asked_at is None else f", and is asked again at {clock(asked_at)}"
    yield Finding(
        cause="refund-pending-at-provider",
        severity=Severity.INFO,
        state=State.IN_PROGRESS,
        service="refunds",
        headline=f"The provider has accepted the refund of {_amount(refund)}, and the money is on its way.",
        since=refund.called_at,
        next=f"The provider reports the end by webhook{asked}. This can take days.",
        next_at=asked_at,
    )


def _settlement(refund: Refund) -> Action:
    path = f"/api/v1/refunds/{refund.id}/settlement"
    return Action("Record that it was paid by hand", "POST", "refunds", path, OPERATORS)


def _ended(cause: str, headline: str, remedy: str) -> Callable[..., Iterator[Finding]]:
    def find(_refunds: RefundsTimeline, refund: Refund, job: Job | None) -> Iterator[Finding]:
        if job is not None and job.state in ("ready", "running") and cause != "refund-reversed":
            return  # it is tried again
        replay = [replay_job("refunds", job.id)] if job is not None and job.state in ("dead", "discarded") else []
        yield Finding(
            cause=cause,
            severity=Severity.ERROR,
            state=State.STUCK,
            service="refunds",
            headline=headline.format(amount=_amount(refund), error=refund.error),
            since=(job and job.finished_at) or refund.called_at or refund.created_at,
            next="Nothing happens until an operator acts. The customer is still owed the money.",
            remedy=remedy,
            actions=(*replay, _settlement(refund)),
        )

    return find


def _held(refunds: RefundsTimeline, refund: Refund, job: Job | None) -> Iterator[Finding]:
    disputed = any(
        each.payment_reference == refund.payment_reference and each.status == "OPENED" for each in refunds.disputes
    )
    checked = (
        "It is checked again every hour, and is not made while the reason lasts."
        if job is None or _is_tried(job)
        else "Nothing happens until an operator lets its job run again; it is not made while the reason lasts."
    )
    yield Finding(
        cause="refund-held-by-dispute" if disputed else "refund-held",
        severity=Severity.WARNING if disputed else Severity.ERROR,
        state=State.WAITING if disputed else State.STUCK,
        service="refunds",
        headline=f"The refund of {_amount(refund)} is held: {refund.error}.",
        since=refund.called_at or refund.created_at,
        next="It is made when the bank decides for the seller; if the bank pays the customer, it is not made."
        if disputed
        else checked,
        next_at=_next_attempt(job),
        remedy="Answer the dispute in the provider's dashboard."
        if disputed
        else "Compare the payment in the provider's dashboard with GET /refunds/book, pay there what is missing, "
        "and record it.",
        actions=() if disputed else (_settlement(refund),),
    )


def _succeeded(_refunds: RefundsTimeline, refund: Refund, _job: Job | None) -> Iterator[Finding]:
    if refund.customer_email is None:
        yield Finding(
            cause="refund-not-mailed",
            severity=Severity.INFO,
            state=State.DONE,
            service="refunds",
            headline=f"The order has no e-mail address: {_amount(refund)} is refunded, and the customer was not told.",
            since=refund.completed_at,
            next="Nothing more happens.",
            remedy=f"If the customer asks: the refund has the transaction id {refund.transaction_id}.",
        )


def _amount(refund: Refund) -> str:
    return money(refund.amount, refund.currency)


_BY_STATE: Mapping[str, Callable[[RefundsTimeline, Refund, Job | None], Iterator[Finding]]] = {
    "CALLING": _unknown,
    "UNKNOWN": _unknown,
    "PENDING": _pending,
    "SUCCEEDED": _succeeded,
    "HELD": _held,
    "DECLINED": _ended(
        "refund-declined",
        "The payment gateway has declined the refund of {amount} for good: {error}.",
        "Fix what the provider names and replay the job: the provider is asked again, and pays once. Or pay the "
        "customer in another way, such as by a bank transfer, and record that payment afterwards.",
    ),
    "FAILED": _ended(
        "refund-failed",
        "All attempts at the refund of {amount} have failed, and certainly nothing was paid: {error}.",
        "Fix the cause, such as the provider's address or key, and replay the job.",
    ),
    "REVERSED": _ended(
        "refund-reversed",
        "The provider took back the refund of {amount} after it had succeeded: {error}.",
        "Ask the customer for another account, pay by hand, and record it.",
    ),
}
