"""The entries of an order's timeline: what happened in all services, in the sequence of its times."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orders.explanation.evidence import Evidence, Refund
from orders.explanation.job_names import NAMES
from orders.explanation.service_timeline import Change, Event, Job, Timeline

_KIND_OF_ENTITY = {"ORDER": "state", "RETURN": "state", "INVOICE": "invoice", "REFUND": "refund", "JOB": "job"}
_MAIL_STATES = frozenset({"MAIL_SENT", "MAIL_FAILED"})
# Of an audit row's details, those that a reader needs; the others are in the history.
_DETAILS = ("reason", "manager_notes", "rejection_reason", "error", "note", "outcome", "payment_transaction_id")


@dataclass(frozen=True, slots=True)
class Entry:
    at: datetime
    service: str
    kind: str
    title: str
    detail: str | None = None
    outcome: str | None = None
    actor: str | None = None
    trace_id: str | None = None
    subject: str | None = None


def entries_of(evidence: Evidence) -> list[Entry]:
    """Oldest first. Each service's times are by its own database's clock."""
    entries = [entry for name, timeline in evidence.timelines.items() for entry in _entries(name, timeline)]
    if evidence.refunds is not None:
        entries += [entry for refund in evidence.refunds.refunds for entry in _calls(refund)]
    return sorted(entries, key=lambda entry: entry.at)


def _entries(service: str, timeline: Timeline) -> Iterator[Entry]:
    yield from (_change(service, each) for each in timeline.changes)
    yield from (_event(service, each) for each in timeline.events)
    for job in timeline.jobs:
        yield from _job(service, job)
    for poison in timeline.poison:
        title = f"A {poison.kind} of {poison.topic} could not be processed"
        state = {"subject": str(poison.id), "outcome": poison.state}
        yield Entry(poison.created_at, service, "event", title, poison.error, **state)
    for each in timeline.discrepancies:
        title = f"The reconciler reports {each.check}"
        yield Entry(each.first_seen, service, "discrepancy", title, each.repair_error, "open", subject=str(each.id))


def _change(service: str, change: Change) -> Entry:
    noun, old, new = change.entity_type.capitalize().replace("_", " "), change.previous_state, change.new_state
    if change.outcome == "REFUSED":
        title, kind = f"{noun} was not made {new}: refused while {old}", "refused"
    else:
        title = f"{noun} is {new}" if old != new else f"{noun} was amended"
        kind = _KIND_OF_ENTITY.get(change.entity_type, "state")
    detail = "; ".join(f"{name}: {_text(change.details[name])}" for name in _DETAILS if change.details.get(name))
    actor = change.actor or change.trigger.lower().replace("_", " ")
    return Entry(change.created_at, service, kind, title, detail or None, change.outcome.lower(), actor)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _event(service: str, event: Event) -> Entry:
    is_alert = event.type.endswith("dead_lettered")
    return Entry(
        event.created_at,
        service,
        "alert" if is_alert else "event",
        f"Event {event.type}, number {event.sequence} of its topic",
        event.error,
        event.state,
        trace_id=_trace_id(event.traceparent),
        subject=str(event.id),
    )


def _job(service: str, job: Job) -> Iterator[Entry]:
    kind = "mail" if job.kind.endswith("mail") else "job"
    name, trace, subject = NAMES.get(job.kind, job.kind), _trace_id(job.traceparent), str(job.id)
    yield Entry(job.created_at, service, kind, f"A job for {name} is enqueued", None, job.state, None, trace, subject)
    for attempt in job.attempts_made:
        title = f"Attempt {attempt.number} at {name}"
        outcome = attempt.outcome or ("running" if job.state == "running" else "without an end")
        yield Entry(
            attempt.started_at, service, "attempt", title, attempt.error, outcome, attempt.worker, trace, subject
        )


def _calls(refund: Refund) -> Iterator[Entry]:
    for call in refund.calls:
        what = "look-up of" if call.kind == "LOOK_UP" else "request for"
        title, outcome = f"Call to the payment gateway: {what} the refund", call.outcome or "no answer"
        yield Entry(call.started_at, "refunds", "call", title, call.answer, outcome.lower(), subject=str(refund.id))


def _trace_id(traceparent: str) -> str | None:
    """The second part of a W3C `traceparent`."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 else None
