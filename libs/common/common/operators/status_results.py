"""The result of the status of a service: what waits, what failed, and what its operators are told."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from typing_extensions import TypedDict

from common.operators.job_results import JobKind


class OutboxStatus(TypedDict):
    """Events that are not published. Of the `pending` ones, `held_back` wait for a partition that accepts none now;
    `parked` ones were rejected by Kafka."""

    pending: int
    held_back: int
    parked: int
    oldest_age_seconds: float | None


class ConsumerStatus(TypedDict):
    """`lag` is the number of records that are not consumed; it is as old as `reported_at`."""

    topic: str
    partition: int
    position: int
    lag: int
    caught_up_at: datetime | None
    reported_at: datetime


class PoisonStatus(TypedDict):
    """Poison records that are kept."""

    topic: str
    kept: int
    oldest: datetime


class DiscrepancyStatus(TypedDict):
    """Discrepancies that are open."""

    check: str
    open: int
    oldest: datetime


class AlertStatus(TypedDict):
    """An alert that the service sent to its operators, or will send: `state` is that of its job."""

    job_id: UUID
    created_at: datetime
    state: Literal["ready", "running", "done", "dead", "discarded"]
    channel: str
    cause: str
    subject: str
    title: str


class ServiceStatus(TypedDict):
    """`alerts` are the latest 20 of the last day."""

    service: str
    time: datetime
    outbox: OutboxStatus
    consumers: list[ConsumerStatus]
    jobs: list[JobKind]
    poison: list[PoisonStatus]
    discrepancies: list[DiscrepancyStatus]
    alerts: list[AlertStatus]
