"""Findings: records of the order that a consumer could not process, has not read yet, or lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orders.explanation.evidence import Evidence
from orders.explanation.finding import OPERATORS, Action, Finding, Severity, State, clock
from orders.explanation.publishing import SOON
from orders.explanation.service_timeline import Consumer, Event, Poison

# A consumer reports twice a second.
SILENT_AFTER = timedelta(seconds=15)
# By how much the clocks of two databases may differ.
CLOCKS_DIFFER = timedelta(seconds=5)
# A consumer that has read nearly everything reports that it caught up at most so long ago, some reports.
NEARLY_CAUGHT_UP = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Hop:
    """An event of `producer` that should have had its effect in `consumer`: `effect` says which, as a noun.

    `repeated_at`: after which time the reconciler of `repeated_by` asks for the effect again.
    """

    producer: str
    types: tuple[str, ...]
    consumer: str
    effect: str
    repeated_at: datetime | None = None
    repeated_by: str = ""


def poison_records(evidence: Evidence) -> Iterator[Finding]:
    for service, timeline in evidence.timelines.items():
        for each in timeline.poison:
            if each.state == "kept":
                yield _batch(service, each) if each.kind == "batch" else _record(service, each)


def _record(service: str, poison: Poison) -> Finding:
    path = f"/api/v1/ops/poison/{poison.id}"
    return Finding(
        cause="poison-record",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"{service} could not process a record of this order from {poison.topic}, and has stepped over it: "
        f"{poison.error}.",
        since=poison.created_at,
        next="Nothing happens until an operator replays the record; it is stored byte for byte.",
        remedy="Fix the cause that the error names, and then replay the record.",
        actions=(
            Action("Replay the record", "POST", service, f"{path}/replay", OPERATORS),
            Action("Show the record", "GET", service, path, OPERATORS),
        ),
    )


def _batch(service: str, poison: Poison) -> Finding:
    path = f"/api/v1/ops/poison/{poison.id}"
    return Finding(
        cause="damaged-batch",
        severity=Severity.WARNING,
        state=State.STUCK,
        service=service,
        headline=f"{service} could not decode a batch of records in this order's partition of {poison.topic}; "
        "records of this order may be among them.",
        since=poison.created_at,
        next="The reconciler compares the topic with what the service knows, and asks for missing events again.",
        remedy="Replay the batch after its bytes are repaired, or publish its events again from their outbox.",
        actions=(Action("Show the batch", "GET", service, path, OPERATORS),),
    )


def undelivered(evidence: Evidence, hop: Hop) -> Iterator[Finding]:
    """Why the event had no effect yet. Nothing where another finding says it: the event is not published, its record
    is poison, or one of the services did not answer."""
    producer, consumer = evidence.timelines.get(hop.producer), evidence.timelines.get(hop.consumer)
    if producer is None:
        return
    event = next((each for each in reversed(producer.events) if each.type in hop.types), None)
    if event is None:
        yield _missing(hop)
        return
    if consumer is None or event.state != "published":
        return
    records = [each for each in consumer.poison if each.kind == "record" and each.topic == event.topic]
    if any(each.state == "kept" for each in records):
        return
    if discarded := _discarded(records, event):
        yield _record_discarded(hop, discarded)
        return
    position = next((each for each in consumer.consumers if each.topic == event.topic), None)
    if position is not None:
        yield _unread(hop, event, position, consumer.at)


def _unread(hop: Hop, event: Event, consumer: Consumer, now: datetime) -> Finding:
    if consumer.reported_at is None or now - consumer.reported_at > SILENT_AFTER:
        return _consumer_down(hop, event, consumer)
    if _has_passed(consumer, event, consumer.reported_at):
        return _lost(hop, event)
    if now - event.created_at < SOON and not consumer.lag:
        return _being_read(hop, event)
    return _lagging(hop, event, consumer)


def _has_passed(consumer: Consumer, event: Event, reported_at: datetime) -> bool:
    """Whether the consumer has read everything that was published with the event. That may be long after the event was
    created: the relay was down, or the event was parked. So a consumer that is behind by now may still come to it."""
    caught_up_at = consumer.caught_up_at
    if caught_up_at is None or caught_up_at <= event.created_at + CLOCKS_DIFFER:
        return False
    return not consumer.lag or reported_at - caught_up_at <= NEARLY_CAUGHT_UP


def _discarded(records: Sequence[Poison], event: Event) -> Poison | None:
    """The first discarded record that may have the event. Older records belong to other events."""
    since = event.created_at - CLOCKS_DIFFER
    return next((each for each in records if each.state == "discarded" and each.created_at > since), None)


def _record_discarded(hop: Hop, poison: Poison) -> Finding:
    reason = f": {poison.discarded_reason}" if poison.discarded_reason else ""
    return Finding(
        cause="record-discarded",
        severity=Severity.WARNING,
        state=State.STUCK,
        service=hop.consumer,
        headline=f"An operator has discarded the record of this order from {poison.topic} that {hop.consumer} could "
        f"not process{reason}. {hop.effect[0].upper()}{hop.effect[1:]} is missing.",
        since=poison.discarded_at or poison.created_at,
        next="This record is not processed again. What is owed stays owed. " + _next(hop, "Nothing happens by itself"),
        next_at=hop.repeated_at,
        remedy=f"If {hop.effect} is needed before: fix the cause of the error, and let {hop.producer} publish its "
        "events again (outbox send-again).",
        actions=(Action("Show the record", "GET", hop.consumer, f"/api/v1/ops/poison/{poison.id}", OPERATORS),),
    )


def _missing(hop: Hop) -> Finding:
    return Finding(
        cause="event-missing",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=hop.producer,
        headline=f"{hop.producer} has no event {hop.types[0]} of this order, from which {hop.effect} would follow.",
        next=_next(hop, "Nothing happens by itself"),
        next_at=hop.repeated_at,
        remedy="Look whether the outbox was purged or restored from a backup: docs/operations.md has the steps.",
    )


def _being_read(hop: Hop, event: Event) -> Finding:
    return Finding(
        cause="event-being-read",
        severity=Severity.INFO,
        state=State.IN_PROGRESS,
        service=hop.consumer,
        headline=f"The event {event.type} is published, and {hop.consumer} is about to process it.",
        since=event.created_at,
        next=f"{hop.consumer} processes it within seconds; then {hop.effect} follows.",
        next_at=event.created_at,
    )


def _consumer_down(hop: Hop, event: Event, consumer: Consumer) -> Finding:
    last = "has never reported" if consumer.reported_at is None else f"last reported at {clock(consumer.reported_at)}"
    return Finding(
        cause="consumer-down",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=hop.consumer,
        headline=f"The event {event.type} is published, but the consumer of {hop.consumer} {last}: {hop.effect} waits.",
        since=max(event.created_at, consumer.reported_at or event.created_at),
        next=f"Kafka keeps the event; {hop.effect} follows within seconds after the consumer runs and reaches Kafka.",
        remedy=f"Start the role consumer of {hop.consumer}, or bring back Kafka, if the consumer runs without it.",
    )


def _lagging(hop: Hop, event: Event, consumer: Consumer) -> Finding:
    return Finding(
        cause="consumer-lagging",
        severity=Severity.WARNING,
        state=State.IN_PROGRESS,
        service=hop.consumer,
        headline=f"The consumer of {hop.consumer} is {consumer.lag or 0} records behind in this order's partition: "
        f"{hop.effect} waits.",
        since=event.created_at,
        next=f"The consumer processes the records in their sequence; {hop.effect} follows when it gets to this one.",
        remedy=f"If the lag grows: start more consumers of {hop.consumer}, and look for locks in its database.",
    )


def _lost(hop: Hop, event: Event) -> Finding:
    return Finding(
        cause="event-lost",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=hop.consumer,
        headline=f"{hop.consumer} has read everything after the event {event.type} was published, but {hop.effect} is "
        "missing: the event was lost.",
        since=event.created_at,
        next=_next(hop, "Nothing happens by itself"),
        next_at=hop.repeated_at,
        remedy="Check that the reconciler runs: it publishes the event again.",
    )


def _next(hop: Hop, otherwise: str) -> str:
    if hop.repeated_at is None:
        return f"{otherwise}, unless the reconciler finds it."
    return f"The reconciler of {hop.repeated_by} asks for it again after {clock(hop.repeated_at)}."
