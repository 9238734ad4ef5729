"""What a new discrepancy leads to, in the transaction that opens it: an event and an alert; a log line after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.aggregates.event_counter import EventCounter
from common.database.statements import Connection
from common.jobs.alerts import Alert, Alerts
from common.messaging.envelope import EventData, EventView
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from common.reconciliation.discrepancies import Discrepancy
from common.telemetry.tracing import traceparent_below

DISCREPANCY = "reconciliation.discrepancy"


class DiscrepancyData(EventData):
    """A discrepancy that the reconciler of a service has found for the first time, or that has changed after a person
    had acknowledged it.

    `check` says what was compared, and `subject` what is wrong; `details` are those of the check.
    """

    discrepancy_id: UUID
    check: str
    subject: str
    details: Mapping[str, Any]
    first_seen: datetime


class DiscrepancyView(EventView):
    """What a consumer that can help reads of a discrepancy of another service."""

    check: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reports:
    """`topic` is the service's own, None where it has none. `event_counter` is that of a service whose aggregates count
    the events of the topic's keys themselves."""

    topic: str | None
    event_counter: EventCounter | None
    alerts: Alerts

    async def report(self, connection: Connection, discrepancy: Discrepancy, *, occurrence: str | None = None) -> None:
        """Write the event and the alert. Without an `occurrence`, a discrepancy that comes and goes makes one alert a
        day."""
        traceparent = traceparent_below()
        if self.topic is not None:
            await outbox.append(connection, await self._event(connection, self.topic, discrepancy, traceparent))
        finding = discrepancy.finding
        alert = Alert(
            f"discrepancy:{discrepancy.check}",
            finding.subject,
            f"discrepancy: {discrepancy.check} of {finding.subject}",
            {"discrepancy_id": str(discrepancy.id), "key": finding.key, **finding.details},
            occurrence,
        )
        await self.alerts.enqueue(connection, alert, traceparent)

    async def _event(self, connection: Connection, topic: str, discrepancy: Discrepancy, traceparent: str) -> NewEvent:
        """In the sequence of its key. Without a key, or with one that no aggregate counts the events of, the event has
        its own id as its key: a counter that begins later must not give its numbers twice."""
        finding = discrepancy.finding
        key, sequence = finding.key, None
        if key is not None and self.event_counter is not None:
            sequence = await self.event_counter.next(connection, key)
            key = key if sequence is not None else None
        data = DiscrepancyData(
            discrepancy_id=discrepancy.id,
            check=discrepancy.check,
            subject=finding.subject,
            details=finding.details,
            first_seen=discrepancy.first_seen,
        )
        return NewEvent(
            DISCREPANCY,
            topic,
            "discrepancy",
            discrepancy.id,
            key or str(discrepancy.id),
            sequence,
            data.model_dump_json().encode(),
            traceparent,
        )
