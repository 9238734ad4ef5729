"""Members of a timeline. The fields of each row are columns of the same names, or are derived from them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from typing_extensions import TypedDict

from common.operators.job_results import JobAttempt


class TimelineChange(TypedDict):
    """An audit row: a change that was accepted, or an attempt that was refused."""

    entity_type: str
    entity_id: UUID
    previous_state: str | None
    new_state: str
    outcome: Literal["ACCEPTED", "REFUSED"]
    actor: str | None
    trigger: Literal["API_CALL", "EVENT", "BACKGROUND_JOB"]
    details: dict[str, Any]
    created_at: datetime


class TimelineEvent(TypedDict):
    """An event and its delivery. `held`: its partition is unavailable. `error` says why Kafka refused a parked event,
    behind which the later events of its key wait."""

    position: int
    id: UUID
    type: str
    topic: str
    sequence: int
    state: Literal["published", "pending", "held", "parked"]
    created_at: datetime
    parked_at: datetime | None
    error: str | None
    traceparent: str


class TimelineJob(TypedDict):
    """A job with its latest attempts. `others_running`: jobs of the same kind that were due before it, and that workers
    run now. `workers`: running workers that run jobs of its kind. While the kind is paused, no worker claims it."""

    id: UUID
    kind: str
    business_key: str
    state: str
    attempts: int
    failures: int
    abandoned: int
    set_backs: int
    due_at: datetime
    leased_until: datetime | None
    created_at: datetime
    finished_at: datetime | None
    last_error: str | None
    given_up: str | None
    discarded_reason: str | None
    discarded_by: str | None
    paused_reason: str | None
    paused_by: str | None
    paused_at: datetime | None
    traceparent: str
    others_running: int
    workers: int
    attempts_made: list[JobAttempt]


class TimelinePoison(TypedDict):
    """A record of the key, or a damaged batch of the key's partition, that could not be handled."""

    id: UUID
    kind: Literal["record", "batch"]
    topic: str
    partition: int
    offset: int
    error: str
    state: str
    created_at: datetime
    replayed_at: datetime | None
    discarded_at: datetime | None
    discarded_reason: str | None
    discarded_by: str | None


class TimelineDiscrepancy(TypedDict):
    """What the reconciler found, and has not found to be mended since."""

    id: UUID
    check: str
    subject: str
    first_seen: datetime
    last_seen: datetime
    repairs: int
    repaired_at: datetime | None
    repair_error: str | None


class TimelineConsumer(TypedDict):
    """The service's consumer at the key's partition of a topic; null before its first report."""

    topic: str
    partition: int | None
    lag: int | None
    caught_up_at: datetime | None
    reported_at: datetime | None


class Timeline(TypedDict):
    """What a service knows of one key. `at` is its database's time; `relay_is_running` says whether one has reported
    within its lease, `worker_is_running` whether one has in the last seconds."""

    at: datetime
    relay_is_running: bool
    worker_is_running: bool
    changes: list[TimelineChange]
    events: list[TimelineEvent]
    jobs: list[TimelineJob]
    poison: list[TimelinePoison]
    discrepancies: list[TimelineDiscrepancy]
    consumers: list[TimelineConsumer]
