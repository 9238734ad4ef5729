"""Reviews of returns that are late: reminders, escalations, and decisions of the system where they are configured."""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from common.aggregates.changes import Locked
from common.audit.actor import Actor
from common.database.statements import Connection
from common.jobs import queue
from prometheus_client import Gauge

from returns import events
from returns.domain.four_eyes import FourEyes
from returns.domain.return_ import RejectionReason, Return, ReturnStatus
from returns.domain.review import ReviewPolicy, ReviewStep
from returns.repository import reading, writing
from returns.use_cases.jobs import review_job

_log = structlog.get_logger(__name__)
_oldest_age = Gauge("returns_oldest_unreviewed_age_seconds", "Age of the oldest return without a decision, or 0")
_overdue = Gauge("returns_overdue_reviews", "Returns without a decision for longer than RETURN_REVIEW_HOURS")


async def record_reminder(
    connection: Connection, locked: Locked[Return], step: ReviewStep, policy: ReviewPolicy, actor: Actor, outcome: str
) -> None:
    """Add an audit row, and schedule the escalation after a reminder."""
    value = locked.value
    await writing.amend(connection, locked, value, actor, {"review": step, "outcome": outcome})
    if step is ReviewStep.REMINDER:
        await queue.enqueue(connection, review_job(value.id, ReviewStep.ESCALATION, policy.review_within, actor))
    else:
        _log.critical(
            "nobody has decided about a return, in spite of a reminder",
            return_id=str(value.id),
            order_number=value.order_number,
            opened_at=value.created_at.isoformat(),
        )


async def decide(
    connection: Connection, locked: Locked[Return], policy: ReviewPolicy, four_eyes: FourEyes, actor: Actor
) -> None:
    """The configured decision, if there still is one. An approval that needs two people is left to them."""
    value, needs_two = locked.value, False
    notes = f"Decided by the system: nobody had decided within {policy.decide_after}."
    if policy.decision == "reject":
        decided = value.reject(locked.now, notes, RejectionReason.POLICY_VIOLATION)
    else:
        needs_two = four_eyes.approvers(value.refund_amount, value.currency) > 1
        decided = value.approve_unreviewed(locked.now, notes)
    if needs_two or policy.decision == "none":
        details = {"review": ReviewStep.DECISION, "outcome": "left to people"}
        await writing.amend(connection, locked, value, actor, details)
    else:
        event = events.new_event(events.OF_STATUS[decided.status], decided, actor)
        details = {"review": ReviewStep.DECISION, "manager_notes": notes}
        await writing.save(connection, locked, decided, actor, details, event)


def is_unreviewed(locked: Locked[Return]) -> bool:
    return locked.value.status is ReturnStatus.REQUESTED


def review_gauges(policy: ReviewPolicy) -> Callable[[Connection], Awaitable[None]]:
    return partial(_measure, policy)


async def _measure(policy: ReviewPolicy, connection: Connection) -> None:
    unreviewed = await reading.find_unreviewed(connection, policy.review_within)
    _oldest_age.set(unreviewed.oldest_age or 0)
    _overdue.set(unreviewed.overdue)
