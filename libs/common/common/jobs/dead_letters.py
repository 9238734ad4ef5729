"""Dead jobs, told on the service's dead-letter topic: a copy for whoever watches it, the table `jobs` is the truth."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from common.database.statements import Connection
from common.jobs.queue import Job
from common.messaging.envelope import EventData
from common.messaging.kafka.topics import dead_letter_topic
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from common.telemetry.trace_context import new_traceparent
from common.text.storable import storable

DEAD_JOB = "job.dead_lettered"


class DeadJob(EventData):
    """A job that failed for good and waits for an operator; `attempts` counts all its tries so far."""

    job_id: UUID
    kind: str
    business_key: str
    payload: Mapping[str, Any]
    attempts: int
    error: str


async def append_dead_job(connection: Connection, service: str, key: str, job: Job, error: str) -> None:
    """Send a copy of the job through the outbox, in the transaction that buries it. `key` is the record's key."""
    topic = dead_letter_topic(service)
    letter = DeadJob(
        job_id=job.id,
        kind=job.kind,
        business_key=job.business_key,
        payload=job.payload,
        attempts=job.attempt,
        error=storable(error),
    )
    event = NewEvent(
        type=DEAD_JOB,
        topic=topic,
        aggregate_type="job",
        aggregate_id=job.id,
        key=key,
        sequence=None,
        data=letter.model_dump_json().encode(),
        traceparent=new_traceparent(job.traceparent),
        causation_id=job.causation_id,
    )
    await outbox.append(connection, event)
