"""The job of a review that is late: reminds, escalates or decides, unless somebody has decided meanwhile (ADR 39)."""

from textwrap import fill

from common.database.statements import Connection
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job
from common.mail.mailer import Mailer
from common.mail.message import Mail
from common.money import format_amount
from prometheus_client import Counter

from returns.domain.four_eyes import FourEyes
from returns.domain.return_ import Return, ReturnStatus
from returns.domain.review import ReviewPolicy, ReviewStep
from returns.repository import reading, writing
from returns.use_cases.jobs import REVIEW_JOB, return_id, review_step
from returns.use_cases.reviews import decide, is_unreviewed, record_reminder

_SUBJECT = {
    ReviewStep.REMINDER: "A return waits for your decision",
    ReviewStep.ESCALATION: "A return still waits, in spite of a reminder",
}


class ReviewJob(JobHandler):
    kind = REVIEW_JOB
    retry_delays = (1, 2, 4)
    counter = Counter("return_review_steps_total", "Steps of late reviews by how they ended.", ["outcome"])
    success = "done"
    failure_message = "the reminder of a return could not be sent"
    failure_level = "error"

    def __init__(self, mailer: Mailer, to: str | None, policy: ReviewPolicy, four_eyes: FourEyes) -> None:
        self._mailer = mailer
        self._to = to
        self._policy = policy
        self._four_eyes = four_eyes

    async def work(self, job: Job) -> dict[str, object]:
        """After a crash the e-mail may be sent again, with the same Message-ID."""
        step = review_step(job)
        async with job.reading() as connection:
            value = await reading.get(connection, return_id(job))
        if value.status is not ReturnStatus.REQUESTED or step is ReviewStep.DECISION:
            return {"outcome": "nothing to send"}
        if self._to is None:
            return {"outcome": "no address"}
        await self._mailer.send(review_mail(self._to, value, step))
        return {"outcome": "mailed"}

    async def on_success(self, connection: Connection, job: Job) -> None:
        """Nothing follows where somebody has decided."""
        await self._record(connection, job, job.result["outcome"])

    async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
        """The escalation comes all the same."""
        value = await self._record(connection, job, f"not mailed: {error}")
        return Subject(str(value.order_id), {"return_id": str(value.id), "order_number": value.order_number})

    async def _record(self, connection: Connection, job: Job, outcome: str) -> Return:
        locked = await writing.lock_existing(connection, return_id(job))
        step, actor = review_step(job), job.actor
        if is_unreviewed(locked):
            if step is ReviewStep.DECISION:
                await decide(connection, locked, self._policy, self._four_eyes, actor)
            else:
                await record_reminder(connection, locked, step, self._policy, actor, outcome)
        return locked.value


def review_mail(to: str, value: Return, step: ReviewStep) -> Mail:
    """Without the customer's name: who decides reads the return."""
    amount = f"{format_amount(value.refund_amount, value.currency)} {value.currency}"
    opened_at = f"{value.created_at:%Y-%m-%d %H:%M} UTC"
    paragraphs = (
        f"The return of order {value.order_number}, {amount}, was requested at {opened_at}. Nobody has approved or "
        "rejected it yet.",
        f"Return: {value.id}",
    )
    return Mail(
        to=to,
        subject=f"{_SUBJECT[step]}: order {value.order_number}",
        text="\n\n".join(fill(each, 72) for each in paragraphs) + "\n",
        message_key=f"return-review-{value.id}-{step.lower()}",
    )
