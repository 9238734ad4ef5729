"""Alerts to the operators: local jobs, enqueued in the transaction of what they report (ADR 41)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self, TypeAlias

from common.database.statements import Connection
from common.jobs import queue
from common.jobs.job import NewJob
from common.settings import ServiceSettings
from common.telemetry.tracing import traceparent_below
from common.text.storable import storable_json

ALERT = "alert"
Channel: TypeAlias = Literal["mail", "webhook"]


@dataclass(frozen=True, slots=True)
class Alert:
    """`cause` is the kind of event, and `subject` what it happened to. `occurrence` is the event itself, where each one
    needs people again, such as a job that died again after a replay. Without it, there is one alert per day of a cause
    and subject: what comes and goes by itself must not fill the mailbox."""

    cause: str
    subject: str
    title: str
    details: Mapping[str, Any]
    occurrence: str | None = None

    def key(self, channel: str, now: datetime) -> str:
        return f"{channel}:{self.cause}:{self.subject}:{self.occurrence or f'{now:%Y-%m-%d}'}"

    def content(self) -> dict[str, Any]:
        """What is sent."""
        return {"cause": self.cause, "subject": self.subject, "title": self.title, "details": self.details}


class Alerts:
    """The channels of a service's alerts; without any, nothing is enqueued. Each channel has a job of its own, so that
    one that fails repeats nothing on the other."""

    def __init__(self, service: str, channels: tuple[Channel, ...]) -> None:
        self._service = service
        self._channels = channels

    @classmethod
    def of(cls, service: str, settings: ServiceSettings) -> Self:
        mail: tuple[Channel, ...] = ("mail",) if settings.ops_email else ()
        webhook: tuple[Channel, ...] = ("webhook",) if settings.ops_webhook_url else ()
        return cls(service, (*mail, *webhook))

    async def enqueue(self, connection: Connection, alert: Alert, traceparent: str | None = None) -> None:
        """In the caller's transaction. A second alert of the same cause, subject and occurrence changes nothing."""
        now = datetime.now(UTC)
        content = {"service": self._service, "at": now.isoformat(timespec="seconds"), **alert.content()}
        jobs = [
            NewJob(
                ALERT,
                alert.key(channel, now),
                storable_json({"channel": channel, "alert": content}),
                traceparent_below(traceparent),
            )
            for channel in self._channels
        ]
        if jobs:
            await queue.enqueue(connection, *jobs)
