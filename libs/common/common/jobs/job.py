"""Jobs as data: the work to enqueue, the claimed job, its retry schedule, and the loss of its lease."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, TypeAlias
from uuid import UUID

from common.audit.actor import Actor
from common.telemetry.trace_context import new_traceparent

# A JSON object: what a job's outside work returned.
Result: TypeAlias = Mapping[str, Any]


class LeaseLost(Exception):
    """Another worker has the job by now; this attempt must write nothing."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits after the first, second, … failure, in retry units (a minute, unless the setting says otherwise)."""

    delays: tuple[int, ...]

    def delay(self, failures: int, unit_seconds: float) -> timedelta | None:
        """How long to wait after this many failures; None when that was the last attempt."""
        return timedelta(seconds=self.delays[failures - 1] * unit_seconds) if failures <= len(self.delays) else None


@dataclass(frozen=True, slots=True)
class NewJob:
    """Work to do once per (kind, business key), however often it is enqueued."""

    kind: str
    business_key: str
    payload: Mapping[str, Any]
    traceparent: str
    causation_id: str | None = None

    @classmethod
    def caused_by(cls, actor: Actor, kind: str, business_key: str, payload: Mapping[str, Any]) -> Self:
        """A job in the actor's trace, with the same cause."""
        return cls(kind, business_key, payload, actor.traceparent, actor.causation_id)


@dataclass(slots=True)
class Job:
    """A claimed job.

    `attempt` counts the claims from 1, `failures` the failed attempts since the last replay. `abandoned` counts the
    attempts whose worker stopped without a word, `set_backs` those that the database ended. `waited_seconds` is the
    time from the due time to the claim. `result` is what the outside work returned, once that is stored; `given_up` is
    the error after which there is no further attempt.
    """

    id: UUID
    kind: str
    business_key: str
    payload: Mapping[str, Any]
    failures: int
    abandoned: int
    attempt: int
    lease_token: int
    waited_seconds: float
    traceparent: str
    causation_id: str | None
    set_backs: int = 0
    result: Result | None = None
    given_up: str | None = None

    @property
    def actor(self) -> Actor:
        """The job as the author of a change, each time in a new span of the trace that it came from."""
        traceparent = new_traceparent(self.traceparent)
        return Actor(self.kind, "SYSTEM", "BACKGROUND_JOB", traceparent, causation_id=self.causation_id)
