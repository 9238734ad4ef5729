"""Findings: jobs that have failed permanently, or were discarded."""

from orders.explanation.finding import Finding, Severity, State, clock, replay_job, show_job
from orders.explanation.job_names import MAIL_KINDS, attempts_of, name_of
from orders.explanation.service_timeline import Job


def is_refused(job: Job) -> bool:
    return job.kind in MAIL_KINDS and "MailRefused" in (job.last_error or "")


def dead(service: str, job: Job) -> Finding:
    return Finding(
        cause="job-dead",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The job for {name_of(job)} has failed permanently after {attempts_of(job)}: {job.last_error}.",
        since=job.finished_at,
        next="Nothing happens until an operator replays the job.",
        remedy="Fix the cause that the error names, and then replay the job: it gets its whole schedule again.",
        actions=(replay_job(service, job.id), show_job(service, job.id)),
    )


def mail_refused(service: str, job: Job) -> Finding:
    return Finding(
        cause="mail-refused",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The mail server refuses {name_of(job)} permanently: {job.last_error}.",
        since=job.finished_at,
        next="Nothing happens until an operator replays the job. Documents and money are not affected.",
        remedy="Check the customer's address. If it is right, ask the mail server's operator, and replay the job.",
        actions=(replay_job(service, job.id), show_job(service, job.id)),
    )


def discarded(service: str, job: Job) -> Finding:
    return Finding(
        cause="job-discarded",
        severity=Severity.WARNING,
        state=State.STUCK,
        service=service,
        headline=f"An operator has discarded the job for {name_of(job)}: {job.discarded_reason}.",
        since=job.finished_at,
        next="Nothing happens any more, unless an operator replays the job.",
        remedy="If it is needed after all: replay the job.",
        actions=(replay_job(service, job.id), show_job(service, job.id)),
    )


def given_up(service: str, job: Job) -> Finding:
    return Finding(
        cause="ending-not-written",
        severity=Severity.ERROR,
        state=State.STUCK,
        service=service,
        headline=f"The job for {name_of(job)} has failed permanently, but what follows could not be written: "
        f"{job.given_up}.",
        since=job.attempts_made[-1].started_at if job.attempts_made else job.created_at,
        next=f"The worker tries to write it again at {clock(job.due_at)}; then the job is dead.",
        next_at=job.due_at,
        remedy=f"Check the database of {service}: locks, a full disk, or a row that is not as it should be.",
        actions=(show_job(service, job.id),),
    )
