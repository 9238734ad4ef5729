"""The jobs of returns: one for each step of a review that is late."""

from datetime import timedelta
from uuid import UUID

from common.audit.actor import Actor
from common.jobs.job import Job, NewJob

from returns.domain.review import ReviewPolicy, ReviewStep

REVIEW_JOB = "return-review"


def review_jobs(return_id: UUID, policy: ReviewPolicy, actor: Actor) -> list[NewJob]:
    """Those of a return that is being opened."""
    return [review_job(return_id, step, due_in, actor) for step, due_in in policy.first_steps.items()]


def review_job(return_id: UUID, step: ReviewStep, due_in: timedelta, actor: Actor) -> NewJob:
    """There is at most one job for a return and step."""
    payload = {"return_id": str(return_id), "step": step}
    return NewJob.caused_by(actor, REVIEW_JOB, f"{return_id}:{step.lower()}", payload, due_in=due_in)


def return_id(job: Job) -> UUID:
    return UUID(job.payload["return_id"])


def review_step(job: Job) -> ReviewStep:
    return ReviewStep(job.payload["step"])
