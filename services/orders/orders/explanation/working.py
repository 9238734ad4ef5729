"""Findings: jobs of the order that are not done."""

from collections.abc import Callable, Iterator

from orders.explanation import due_jobs, ended_jobs
from orders.explanation.evidence import Evidence
from orders.explanation.finding import OPERATORS, Action, Finding, Severity, State, clock, show_job
from orders.explanation.job_names import MAIL_KINDS, attempts_of, name_of
from orders.explanation.service_timeline import Job, Timeline


def unfinished_jobs(evidence: Evidence, explained: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """`explained` are the business keys of refunds whose state says more than their job."""
    for service, timeline in evidence.timelines.items():
        for job in timeline.jobs:
            if job.state != "done" and not (job.kind == "refund" and job.business_key in explained):
                finding = _finding(service, timeline, job)
                if finding is not None:
                    yield finding


def _finding(service: str, timeline: Timeline, job: Job) -> Finding | None:
    if job.state == "dead":
        return ended_jobs.mail_refused(service, job) if ended_jobs.is_refused(job) else ended_jobs.dead(service, job)
    if job.state == "running":
        return _running(service, timeline, job)
    if job.state == "discarded":
        return ended_jobs.discarded(service, job)
    if job.given_up is not None:
        return ended_jobs.given_up(service, job)
    if job.paused_at is not None and (job.due_at <= timeline.at or _was_tried(job)):
        return _paused(service, job)
    if job.due_at > timeline.at:
        return _waiting(service, job)
    return due_jobs.due(service, timeline, job)


def _running(service: str, timeline: Timeline, job: Job) -> Finding:
    started = job.attempts_made[-1] if job.attempts_made else None
    since, worker = (started.started_at, started.worker) if started else (job.due_at, "a worker")
    until = job.leased_until
    if until is not None and until > timeline.at:
        return Finding(
            cause="job-running",
            severity=Severity.INFO,
            state=State.IN_PROGRESS,
            service=service,
            headline=f"The worker {worker} is working on {name_of(job)}.",
            since=since,
            next=f"It ends soon. If the worker has stopped, another one takes the job over at {clock(until)}.",
            next_at=until,
        )
    return Finding(
        cause="lease-expired",
        severity=Severity.WARNING,
        state=State.IN_PROGRESS,
        service=service,
        headline=f"The worker {worker} stopped while it worked on {name_of(job)}: its lease has expired.",
        since=until or since,
        next="Another worker takes the job over within seconds, if one is running.",
        remedy=f"If this lasts: start the role worker of {service}.",
        actions=(show_job(service, job.id),),
    )


def _waiting(service: str, job: Job) -> Finding | None:
    """A job between two attempts. None for a job without an attempt: it is due later on purpose, as a reminder is."""
    if not _was_tried(job):
        return None
    error, at = job.last_error or "its worker stopped", clock(job.due_at)
    since = next((each.started_at for each in job.attempts_made if each.error), job.created_at)
    cause, headline, remedy = _reason(job)(service, job, error)
    return Finding(
        cause=cause,
        severity=Severity.WARNING,
        state=State.IN_PROGRESS,
        service=service,
        headline=headline,
        since=since,
        next=f"The next attempt begins at {at}, without anybody's help.",
        next_at=job.due_at,
        remedy=remedy,
        actions=(show_job(service, job.id),),
    )


def _was_tried(job: Job) -> bool:
    return bool(job.failures or job.set_backs or job.abandoned or job.last_error)


def _paused(service: str, job: Job) -> Finding:
    path = f"/api/v1/ops/job-kinds/{job.kind}/resume"
    return Finding(
        cause="kind-paused",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"An operator has paused all jobs of the kind {job.kind}: {job.paused_reason}. "
        f"The job for {name_of(job)} waits.",
        since=job.paused_at,
        next="No worker claims the job until an operator resumes the kind; then it is claimed within seconds.",
        remedy="Resume the kind, when the reason for the pause is over.",
        actions=(Action("Resume the kind", "POST", service, path, OPERATORS),),
    )


_Reason = Callable[[str, Job, str], tuple[str, str, str]]


def _reason(job: Job) -> _Reason:
    if job.kind in MAIL_KINDS and "MailNotSent" in (job.last_error or ""):
        return _mail_server_down
    if job.set_backs and not job.failures:
        return _database_interrupted
    return _retrying


def _mail_server_down(_service: str, job: Job, error: str) -> tuple[str, str, str]:
    return (
        "mail-server-down",
        f"The mail server did not accept {name_of(job)}: {error}.",
        "Check that the mail server runs, and the settings SMTP_HOST, SMTP_PORT and its login.",
    )


def _database_interrupted(service: str, job: Job, error: str) -> tuple[str, str, str]:
    return (
        "database-interrupted",
        f"The database of {service} ended an attempt at {name_of(job)}; it does not count as failed: {error}.",
        f"If this repeats: check the database of {service}.",
    )


def _retrying(_service: str, job: Job, error: str) -> tuple[str, str, str]:
    return (
        "job-retrying",
        f"{attempts_of(job).capitalize()} at {name_of(job)} failed: {error}.",
        "Fix the cause that the error names before the last attempt fails; afterwards a replay is necessary.",
    )
