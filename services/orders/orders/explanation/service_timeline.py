"""The part of a service's timeline that every service has: history, events, jobs, poison, consumers (ADR 42)."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class Change(msgspec.Struct):
    entity_type: str
    new_state: str
    outcome: str
    trigger: str
    created_at: datetime
    previous_state: str | None = None
    actor: str | None = None
    details: dict[str, Any] = {}


class Event(msgspec.Struct):
    position: int
    id: UUID
    type: str
    topic: str
    sequence: int
    state: str
    created_at: datetime
    traceparent: str
    parked_at: datetime | None = None
    error: str | None = None


class Attempt(msgspec.Struct):
    number: int
    worker: str
    started_at: datetime
    finished_at: datetime | None = None
    outcome: str | None = None
    error: str | None = None


class Job(msgspec.Struct):
    id: UUID
    kind: str
    business_key: str
    state: str
    failures: int
    due_at: datetime
    created_at: datetime
    traceparent: str
    others_running: int
    attempts_made: list[Attempt]
    workers: int = 0
    abandoned: int = 0
    set_backs: int = 0
    leased_until: datetime | None = None
    finished_at: datetime | None = None
    last_error: str | None = None
    given_up: str | None = None
    discarded_reason: str | None = None
    discarded_by: str | None = None
    paused_reason: str | None = None
    paused_by: str | None = None
    paused_at: datetime | None = None


class Poison(msgspec.Struct):
    id: UUID
    kind: str
    topic: str
    partition: int
    offset: int
    error: str
    state: str
    created_at: datetime
    replayed_at: datetime | None = None
    discarded_at: datetime | None = None
    discarded_reason: str | None = None


class Discrepancy(msgspec.Struct):
    id: UUID
    check: str
    subject: str
    first_seen: datetime
    repairs: int
    repaired_at: datetime | None = None
    repair_error: str | None = None


class Consumer(msgspec.Struct):
    topic: str
    lag: int | None = None
    caught_up_at: datetime | None = None
    reported_at: datetime | None = None


class Timeline(msgspec.Struct):
    """The part that every service has. `at` is the service's own clock: ages of its rows are by this clock. A service
    of a version before `worker_is_running` does not say whether one runs."""

    at: datetime
    relay_is_running: bool
    changes: list[Change]
    events: list[Event]
    jobs: list[Job]
    poison: list[Poison]
    discrepancies: list[Discrepancy]
    consumers: list[Consumer]
    worker_is_running: bool = False

    def job(self, kind: str, business_key: str | None = None) -> Job | None:
        of_kind = (job for job in self.jobs if job.kind == kind and business_key in (None, job.business_key))
        return next(of_kind, None)
