"""A job: the work to enqueue, the claimed job with the database for its work, and the loss of its lease."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

import sqlalchemy as sa

from common.audit.actor import Actor
from common.database.statements import Connection, prepare
from common.database.tables import jobs
from common.database.transactions import Pool, reading, transaction
from common.telemetry.tracing import traceparent_below


def is_in_state(name: str) -> sa.ColumnElement[bool]:
    """The state as a literal in the statement, so that the planner uses the partial indexes."""
    return jobs.c.state == sa.literal(name, literal_execute=True)


# Only for the worker that claimed the job, and while it has the lease.
has_lease = sa.and_(
    jobs.c.id == sa.bindparam("job_id", type_=sa.Uuid),
    jobs.c.lease_token == sa.bindparam("token", type_=sa.BigInteger),
    is_in_state("running"),
)
_HOLD = prepare(sa.select(jobs.c.id).where(has_lease).with_for_update())


class LeaseLost(Exception):
    """Another worker has the job by now; this attempt must write nothing."""


class Postponed(Exception):
    """Raised by the work of a job: it cannot be done yet. The job is due again after `delay`; no failure is counted."""

    def __init__(self, reason: str, delay: timedelta) -> None:
        super().__init__(reason)
        self.delay = delay


@dataclass(frozen=True, slots=True)
class NewJob:
    """Work to do once per (kind, business key), however often it is enqueued; not before `due_in` has passed."""

    kind: str
    business_key: str
    payload: Mapping[str, Any]
    traceparent: str
    causation_id: str | None = None
    due_in: timedelta = timedelta(0)

    @classmethod
    def caused_by(
        cls,
        actor: Actor,
        kind: str,
        business_key: str,
        payload: Mapping[str, Any],
        *,
        due_in: timedelta = timedelta(0),
    ) -> Self:
        """A job in the actor's trace, with the same cause."""
        return cls(kind, business_key, payload, actor.traceparent, actor.causation_id, due_in)


@dataclass(slots=True)
class Job:
    """A claimed job, and the database for the steps of its work: none of them may span a call outside.

    `attempt` counts the claims from 1, `failures` the failed attempts since the last replay. `abandoned` counts the
    attempts whose worker stopped without storing an outcome, `set_backs` those that the database ended.
    `waited_seconds` is the time from the due time to the claim. `result` is what the outside work returned, and is
    empty until that is stored (`has_result`). `given_up` is the error after which there is no further attempt.
    """

    pool: Pool
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
    set_backs: int
    result: Mapping[str, Any]
    has_result: bool
    given_up: str | None

    @property
    def actor(self) -> Actor:
        """The job as the author of a change, in the trace that it came from."""
        traceparent = traceparent_below(self.traceparent)
        return Actor(None, self.kind, "SYSTEM", "BACKGROUND_JOB", traceparent, causation_id=self.causation_id)

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """A read-only connection."""
        return reading(self.pool)

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """For a fact that stays true when another worker has the job."""
        return transaction(self.pool)

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[Connection]:
        """A transaction during which no other worker can take the job over. Raises `LeaseLost`."""
        async with transaction(self.pool) as connection:
            self.require_lease(await _HOLD.fetch_value(connection, **self.lease))
            yield connection

    @property
    def lease(self) -> Mapping[str, Any]:
        """The parameters of `has_lease`."""
        return {"job_id": self.id, "token": self.lease_token}

    def require_lease(self, row: object) -> None:
        """`row`: what a statement with `has_lease` wrote (a number of rows) or read. Raises `LeaseLost`."""
        if not row:
            raise LeaseLost(f"job {self.id} was taken over after attempt {self.attempt} began")
