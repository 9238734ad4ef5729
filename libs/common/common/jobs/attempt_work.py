"""The span and the log fields of an attempt at a job, below the request or event that enqueued it (ADR 45)."""

from typing import TYPE_CHECKING

from common.jobs.handler import Subject
from common.jobs.job import Job
from common.telemetry.tracing import Work, note

if TYPE_CHECKING:
    from common.telemetry.spans import Attributes


def attempt_work(job: Job) -> Work:
    attributes: Attributes = {
        "articurated.job.id": str(job.id),
        "articurated.job.kind": job.kind,
        "articurated.job.attempt": job.attempt,
        "articurated.job.waited_ms": max(int(job.waited_seconds * 1000), 0),
    }
    log_fields = {"job_id": str(job.id)}
    if job.causation_id is not None:
        log_fields["event_id"] = job.causation_id
    return Work(f"job {job.kind}", "consumer", job.traceparent, attributes=attributes, log_fields=log_fields)


def note_subject(subject: Subject) -> None:
    """Of what identifies it in the logs, only the ids."""
    note({f"articurated.{name}": str(value) for name, value in subject.log_fields.items() if name.endswith("_id")})
