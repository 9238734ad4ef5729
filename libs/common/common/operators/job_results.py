"""Results of the operators' queries and commands about jobs. The fields are in this order."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from typing_extensions import TypedDict


class JobSummary(TypedDict):
    """`failures` counts failed attempts since the last replay; `abandoned` counts workers that died with the job.
    `started_at` is the start of the latest attempt, and `seconds` how long it took; null while it runs.

    `cause` is `last_error` without numbers, ids, addresses, times and quoted values: jobs that failed in the same way
    have the same. `finished_at` of a discarded job is the time at which it was discarded.
    """

    id: UUID
    kind: str
    business_key: str
    state: Literal["ready", "running", "done", "dead", "discarded"]
    attempts: int
    failures: int
    abandoned: int
    due_at: datetime
    leased_until: datetime | None
    created_at: datetime
    started_at: datetime | None
    seconds: float | None
    finished_at: datetime | None
    last_error: str | None
    cause: str | None
    discarded_reason: str | None
    discarded_by: str | None


class JobAttempt(TypedDict):
    """One attempt at a job. `outcome` is null while it runs, and for ever if its worker died."""

    number: int
    worker: str
    started_at: datetime
    finished_at: datetime | None
    outcome: Literal["succeeded", "failed", "abandoned", "handed_back"] | None
    error: str | None


class JobDetail(JobSummary):
    causation_id: str | None
    traceparent: str
    attempts_made: list[JobAttempt]


class FailureGroup(TypedDict):
    """Jobs of one kind that failed with one cause: `dead` ones, or `retrying` ones, which will be attempted again.
    `oldest` and `newest` are the times of their latest failures, `example_id` is the job of the newest."""

    kind: str
    cause: str
    state: Literal["dead", "retrying"]
    jobs: int
    oldest: datetime | None
    newest: datetime | None
    example_id: UUID


class FailureList(TypedDict):
    """The groups with the most jobs, dead ones first. `jobs` counts those of all groups, also of those not listed."""

    jobs: int
    data: list[FailureGroup]


class JobKind(TypedDict):
    """The jobs of one kind. Of the `ready` ones, `due` could be run now, the oldest since `oldest_due_at`, and
    `retrying` have failed before. `done_recently` counts the last five minutes."""

    kind: str
    ready: int
    due: int
    retrying: int
    running: int
    dead: int
    discarded: int
    done_recently: int
    oldest_due_at: datetime | None
    paused: bool
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None


class JobKindList(TypedDict):
    data: list[JobKind]


class CauseCount(TypedDict):
    kind: str
    cause: str
    jobs: int


class JobsChange(TypedDict):
    """What was done to many jobs, or would be done, with `dry_run`.

    `matched` is the number of jobs that the request names. Of them, `changed` were changed, or would be; `unchanged`
    were claimed, replayed or discarded since they were selected, or are more than one request changes. `groups` counts
    the changed jobs by kind and cause, `ids` has the first 20. The audit row of each changed job names the `operation`.
    The last of replayed jobs is due at `last_due_at`.
    """

    dry_run: bool
    matched: int
    changed: int
    unchanged: int
    groups: list[CauseCount]
    ids: list[UUID]
    selection: str | None
    operation: UUID | None
    last_due_at: datetime | None
