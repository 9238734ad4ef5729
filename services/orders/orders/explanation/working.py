"""Findings: jobs of the order that are not done."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from orders.explanation.evidence import Evidence
from orders.explanation.finding import Finding, Severity, State, clock, replay_job, show_job
from orders.explanation.service_timeline import Job, Timeline

# A worker claims a due job within a second; the contract's limit for the beginning of work.
CLAIMED_WITHIN = timedelta(seconds=30)

NAMES: Mapping[str, str] = {
    "invoice-document": "the PDF of the invoice",
    "invoice-mail": "the e-mail with the invoice",
    "refund": "the refund",
    "refund-mail": "the e-mail about the refund",
    "return-review": "the reminder of a return without a decision",
}
MAIL_KINDS = frozenset({"invoice-mail", "refund-mail", "return-review"})


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
        return _mail_refused(service, job) if _is_refused(job) else _dead(service, job)
    if job.state == "running":
        return _running(service, timeline, job)
    if job.given_up is not None:
        return _given_up(service, job)
    if job.due_at > timeline.at:
        return _waiting(service, job)
    return _due(service, timeline, job)


def _is_refused(job: Job) -> bool:
    return job.kind in MAIL_KINDS and "MailRefused" in (job.last_error or "")


def _dead(service: str, job: Job) -> Finding:
    return Finding(
        cause="job-dead",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The job for {_name(job)} has failed permanently after {_attempts(job)}: {job.last_error}.",
        since=job.finished_at,
        next="Nothing happens until an operator replays the job.",
        remedy="Mend the cause that the error names, and then replay the job: it gets its whole schedule again.",
        actions=(replay_job(service, job.id), show_job(service, job.id)),
    )


def _mail_refused(service: str, job: Job) -> Finding:
    return Finding(
        cause="mail-refused",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The mail server refuses {_name(job)} permanently: {job.last_error}.",
        since=job.finished_at,
        next="Nothing happens until an operator replays the job. Documents and money are not affected.",
        remedy="Check the customer's address. If it is right, ask the mail server's operator, and replay the job.",
        actions=(replay_job(service, job.id), show_job(service, job.id)),
    )


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
            headline=f"The worker {worker} is working on {_name(job)}.",
            since=since,
            next=f"It ends soon. If the worker has stopped, another one takes the job over at {clock(until)}.",
            next_at=until,
        )
    return Finding(
        cause="lease-expired",
        severity=Severity.WARNING,
        state=State.IN_PROGRESS,
        service=service,
        headline=f"The worker {worker} stopped while it worked on {_name(job)}: its lease has expired.",
        since=until or since,
        next="Another worker takes the job over within seconds, if one is running.",
        remedy=f"If this lasts: start the role worker of {service}.",
        actions=(show_job(service, job.id),),
    )


def _given_up(service: str, job: Job) -> Finding:
    return Finding(
        cause="ending-not-written",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The job for {_name(job)} has failed permanently, but what follows could not be written: "
        f"{job.given_up}.",
        since=job.attempts_made[-1].started_at if job.attempts_made else job.created_at,
        next=f"The worker tries to write it again at {clock(job.due_at)}; then the job is dead.",
        next_at=job.due_at,
        remedy=f"Check the database of {service}: locks, a full disk, or a row that is not as it should be.",
        actions=(show_job(service, job.id),),
    )


def _waiting(service: str, job: Job) -> Finding | None:
    """Before the next attempt. A job that was never tried has its due time by plan, as a reminder has."""
    if not (job.failures or job.set_backs or job.abandoned or job.last_error):
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
        f"The mail server did not accept {_name(job)}: {error}.",
        "Check that the mail server runs, and the settings SMTP_HOST, SMTP_PORT and its login.",
    )


def _database_interrupted(service: str, job: Job, error: str) -> tuple[str, str, str]:
    return (
        "database-interrupted",
        f"The database of {service} ended an attempt at {_name(job)}; it does not count as failed: {error}.",
        f"If this repeats: check the database of {service}.",
    )


def _retrying(_service: str, job: Job, error: str) -> tuple[str, str, str]:
    return (
        "job-retrying",
        f"{_attempts(job).capitalize()} at {_name(job)} failed: {error}.",
        "Mend the cause that the error names before the last attempt fails; afterwards a replay is necessary.",
    )


def _due(service: str, timeline: Timeline, job: Job) -> Finding:
    if timeline.at - job.due_at <= CLAIMED_WITHIN:
        return Finding(
            cause="job-due",
            severity=Severity.INFO,
            state=State.IN_PROGRESS,
            service=service,
            headline=f"The job for {_name(job)} is due.",
            since=job.due_at,
            next="A worker claims it within seconds.",
            next_at=job.due_at,
        )
    if job.others_running:
        return Finding(
            cause="workers-busy",
            severity=Severity.WARNING,
            state=State.IN_PROGRESS,
            service=service,
            headline=f"The job for {_name(job)} is due; {job.others_running} other jobs of its kind are running.",
            since=job.due_at,
            next="It is claimed when those that are due for longer are done.",
            remedy=f"Start more workers of {service}, unless what they wait for is slow: look at the running jobs.",
            actions=(show_job(service, job.id),),
        )
    return Finding(
        cause="worker-down",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The job for {_name(job)} is due since {clock(job.due_at)}, and no worker claims it.",
        since=job.due_at,
        next="Nothing happens until a worker runs; then the job is claimed within seconds.",
        remedy=f"Start the role worker of {service}; its log says why it ended.",
        actions=(show_job(service, job.id),),
    )


def _name(job: Job) -> str:
    return NAMES.get(job.kind, job.kind)


def _attempts(job: Job) -> str:
    number = max(job.failures, 1)
    return "one attempt" if number == 1 else f"{number} attempts"
