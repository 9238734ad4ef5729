"""Dead letters: copies of dead jobs on the service's dead-letter topic. The table `jobs` is the truth."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from common.database.statements import Connection
from common.jobs.job import Job
from common.messaging.dead_letters import append_dead_letter
from common.messaging.envelope import EventData
from common.telemetry.tracing import traceparent_below
from common.text.storable import storable

DEAD_JOB = "job.dead_lettered"


class DeadJob(EventData):
    """A job that failed permanently and waits for an operator; `attempts` counts all its tries so far."""

    job_id: UUID
    kind: str
    business_key: str
    payload: Mapping[str, Any]
    attempts: int
    error: str


async def append_dead_job(connection: Connection, service: str, record_key: str, job: Job, error: str) -> None:
    """Add the job's dead letter to the outbox, in the transaction that makes the job dead."""
    letter = DeadJob(
        job_id=job.id,
        kind=job.kind,
        business_key=job.business_key,
        payload=job.payload,
        attempts=job.attempt,
        error=storable(error),
    )
    await append_dead_letter(
        connection,
        service,
        letter,
        event_type=DEAD_JOB,
        subject=("job", job.id),
        key=record_key,
        traceparent=traceparent_below(job.traceparent),
        causation_id=job.causation_id,
    )
