"""Findings: jobs that are due, and why no worker has begun them."""

from datetime import timedelta

from orders.explanation.finding import Finding, Severity, State, clock, show_job
from orders.explanation.job_names import name_of
from orders.explanation.service_timeline import Job, Timeline

# A worker claims a due job within a second; the contract's limit for the beginning of work.
CLAIMED_WITHIN = timedelta(seconds=30)


def due(service: str, timeline: Timeline, job: Job) -> Finding:
    if timeline.at - job.due_at <= CLAIMED_WITHIN:
        return _on_time(service, job)
    if job.others_running:
        return _workers_busy(service, job)
    if job.workers:
        return _unclaimed(service, job)
    return _unserved(service, job) if timeline.worker_is_running else _worker_down(service, job)


def _on_time(service: str, job: Job) -> Finding:
    return Finding(
        cause="job-due",
        severity=Severity.INFO,
        state=State.IN_PROGRESS,
        service=service,
        headline=f"The job for {name_of(job)} is due.",
        since=job.due_at,
        next="A worker claims it within seconds.",
        next_at=job.due_at,
    )


def _workers_busy(service: str, job: Job) -> Finding:
    return Finding(
        cause="workers-busy",
        severity=Severity.WARNING,
        state=State.IN_PROGRESS,
        service=service,
        headline=f"The job for {name_of(job)} is due; {job.others_running} other jobs of its kind are running.",
        since=job.due_at,
        next="It is claimed when those that are due for longer are done.",
        remedy=f"Start more workers of {service}, unless what they wait for is slow: look at the running jobs.",
        actions=(show_job(service, job.id),),
    )


def _unclaimed(service: str, job: Job) -> Finding:
    return Finding(
        cause="job-unclaimed",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The job for {name_of(job)} has been due since {clock(job.due_at)}. A worker is running that should "
        "claim it, and does not.",
        since=job.due_at,
        next="Nothing happens while its cause lasts; then the job is claimed within seconds.",
        remedy=f"Look in the database of {service} for a transaction that keeps the job's row locked (the oldest in "
        f"pg_stat_activity), and in the worker's log for failed claims; then restart the role worker of {service}.",
        actions=(show_job(service, job.id),),
    )


def _unserved(service: str, job: Job) -> Finding:
    return Finding(
        cause="kind-unserved",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The job for {name_of(job)} has been due since {clock(job.due_at)}, and no running worker runs jobs "
        f"of the kind {job.kind}.",
        since=job.due_at,
        next="Nothing happens until a worker runs that knows the kind; then the job is claimed within seconds.",
        remedy=f"Start the role worker of {service} in the version that enqueued the job: the running ones are older.",
        actions=(show_job(service, job.id),),
    )


def _worker_down(service: str, job: Job) -> Finding:
    return Finding(
        cause="worker-down",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The job for {name_of(job)} has been due since {clock(job.due_at)}, and no worker claims it.",
        since=job.due_at,
        next="Nothing happens until a worker runs; then the job is claimed within seconds.",
        remedy=f"Start the role worker of {service}; its log says why it ended.",
        actions=(show_job(service, job.id),),
    )
