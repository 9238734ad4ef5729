"""Findings: events of the order that are not published."""

from collections.abc import Iterator
from datetime import timedelta

from orders.explanation.evidence import Evidence
from orders.explanation.finding import OPERATORS, Action, Finding, Severity, State, clock
from orders.explanation.service_timeline import Event, Timeline

# A running relay publishes within a fraction of a second.
SOON = timedelta(seconds=10)
# Copies for operators, on which nothing of the order depends.
DEAD_LETTERS = ".dead-letters"


def unpublished_events(evidence: Evidence) -> Iterator[Finding]:
    """One finding of each service and topic: the later events of a key wait for the earlier ones."""
    for service, timeline in evidence.timelines.items():
        seen = set[str]()
        # A parked event explains the pending ones behind it.
        for event in sorted(timeline.events, key=lambda each: (each.state != "parked", each.position)):
            if event.state != "published" and event.topic not in seen and not event.topic.endswith(DEAD_LETTERS):
                seen.add(event.topic)
                yield _finding(service, timeline, event)


def _finding(service: str, timeline: Timeline, event: Event) -> Finding:
    if event.state == "parked":
        return _parked(service, timeline, event)
    if event.state == "held":
        return _held(service, event)
    if timeline.at - event.created_at < SOON:
        return _on_its_way(service, event)
    return _kafka_silent(service, event) if timeline.relay_is_running else _relay_down(service, event)


def _parked(service: str, timeline: Timeline, event: Event) -> Finding:
    behind = sum(
        each.topic == event.topic and each.state in ("pending", "held") and each.position > event.position
        for each in timeline.events
    )
    waiting = f" {behind} later event{'s wait' if behind > 1 else ' waits'} behind it." if behind else ""
    replay = Action(
        "Publish the event again", "POST", service, f"/api/v1/ops/outbox/{event.position}/replay", OPERATORS
    )
    return Finding(
        cause="event-parked",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"Kafka rejected the event {event.type} permanently: {event.error}.{waiting}",
        since=event.parked_at or event.created_at,
        next="Nothing happens until an operator replays the event; other services do not know of it.",
        remedy="Fix what the error names, such as a limit of the topic, and then publish the event again.",
        actions=(replay,),
    )


def _held(service: str, event: Event) -> Finding:
    return Finding(
        cause="partition-unavailable",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The event {event.type} is held back: its partition of {event.topic} is unavailable.",
        since=event.created_at,
        next="The relay tries the partition again every few seconds, and publishes the event when it is available.",
        remedy="Bring back the broker that leads the partition; nothing has to be replayed.",
    )


def _on_its_way(service: str, event: Event) -> Finding:
    return Finding(
        cause="event-on-its-way",
        severity=Severity.INFO,
        state=State.IN_PROGRESS,
        service=service,
        headline=f"The event {event.type} is being published.",
        since=event.created_at,
        next="The relay publishes it at once.",
        next_at=event.created_at,
    )


def _relay_down(service: str, event: Event) -> Finding:
    return Finding(
        cause="relay-down",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The event {event.type} waits in the outbox of {service}, and no relay is running.",
        since=event.created_at,
        next="Nothing is published until a relay runs; then the event is published within seconds.",
        remedy=f"Start the role relay of {service}; its log says why it ended.",
    )


def _kafka_silent(service: str, event: Event) -> Finding:
    return Finding(
        cause="kafka-down",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"A relay of {service} is running, but Kafka has not acknowledged the event {event.type} "
        f"since {clock(event.created_at)}.",
        since=event.created_at,
        next="The relay tries again all the time, and publishes the event when Kafka acknowledges it.",
        remedy=f"Check that the brokers run and that {service} reaches them: /readyz of its relay says what it sees.",
    )
