"""The job that tells the customer the outcome of a refund by e-mail. The refund does not depend on it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from html import escape
from textwrap import fill
from uuid import uuid5

from common.database.statements import Connection
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job, Postponed
from common.mail.mailer import Mailer
from common.mail.message import Mail
from prometheus_client import Counter

from refunds.domain.refund import Refund, RefundStatus
from refunds.domain.request import Cause
from refunds.repository import reading
from refunds.use_cases import booking
from refunds.use_cases.jobs import FAILED, FAILURES, MAIL_JOB, REVERSED, SUCCEEDED, Part, part_of, refund_id, subject

# A refund that is tried again: its end makes the e-mail due.
_LONGEST_WAIT = timedelta(minutes=15)
_PAID = frozenset({RefundStatus.SUCCEEDED, RefundStatus.REVERSED})
_REASON = {
    Cause.RETURN_COMPLETED: "We have received your return",
    Cause.ORDER_CANCELLED: "Your order was cancelled",
    Cause.LATE_PAYMENT: "Your payment reached us after your order had been cancelled",
    Cause.SURPLUS_PAYMENT: "Your order had been paid already when another payment reached us",
    Cause.OPERATOR: "We have reviewed your order",
}


class MailJob(JobHandler):
    kind = MAIL_JOB
    # Retried even when the mail server refuses permanently (5xx): such answers often come from a temporary fault.
    retry_delays = (1, 2, 4)
    counter = Counter("refund_mails_total", "E-mails about the outcome of refunds, by how they ended.", ["outcome"])
    success = "sent"
    failure_message = "the e-mail about the outcome of a refund could not be sent"
    failure_level = "error"

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    async def work(self, job: Job) -> dict[str, object]:
        """Send the e-mail. After a crash it may be sent again, with the same Message-ID.

        Nobody is told of a failure that is over. While the refund is tried again, that is not known: `Postponed`.
        """
        async with job.reading() as connection:
            refund = await reading.get(connection, refund_id(job))
            is_owed = await booking.is_owed(connection, refund)
        outcome = job.payload.get("outcome", SUCCEEDED)
        if outcome == FAILED and refund.status not in FAILURES:
            if refund.status not in _PAID:
                raise Postponed("the refund is tried again", _LONGEST_WAIT)
            return {"sent": False}
        if outcome == FAILED and not is_owed:
            return {"sent": False}
        await self._mailer.send(refund_mail(refund, outcome, part_of(job)))
        return {"sent": True}

    async def on_success(self, _connection: Connection, _job: Job) -> None:
        """The refund does not record its e-mail."""

    def counted_as(self, result: Mapping[str, object]) -> str | None:
        """Only an e-mail that was sent is counted."""
        return self.success if result.get("sent", True) else None

    async def on_failure(self, connection: Connection, job: Job, _error: str) -> Subject:
        return subject(await reading.get(connection, refund_id(job)))


def refund_mail(refund: Refund, outcome: str = SUCCEEDED, part: Part | None = None) -> Mail:
    """`outcome` is that of `mail_outcome` when the e-mail was enqueued; `part`: where it is that of a part.

    Raises `ValueError` for a refund without an e-mail address, or with another outcome.
    """
    request = refund.request
    if request.customer_email is None or (outcome != FAILED and refund.transaction_id is None):
        raise ValueError(f"refund {refund.id} has no e-mail address, or has not succeeded")
    told = request if part is None else replace(request, amount=part.amount)
    subject, sentences = _TEXTS.get(outcome, _refunded)(refund, outcome, told.displayed_amount)
    paragraphs = (
        f"Dear {request.customer_name or 'customer'},",
        sentences,
        f"Reference: {request.order_number if outcome == FAILED else refund.transaction_id}",
        "ArtiCurated",
    )
    return Mail(
        to=request.customer_email,
        subject=subject,
        text="\n\n".join(fill(each, 72) for each in paragraphs) + "\n",
        html="".join(f"<p>{escape(each)}</p>\n" for each in paragraphs),
        message_key=_message_key(refund, outcome, part),
    )


def _message_key(refund: Refund, outcome: str, part: Part | None) -> str:
    key = f"refund-{refund.id}" if outcome == SUCCEEDED else f"refund-{refund.id}-{outcome.lower()}"
    return key if part is None else f"{key}-{uuid5(refund.id, part.transaction_id)}"


def _refunded(refund: Refund, outcome: str, amount: str) -> tuple[str, str]:
    """The subject and the text of the e-mail about this amount."""
    request = refund.request
    way = "the way you paid" if outcome == SUCCEEDED else "by another payment than the one you made"
    text = (
        f"{_REASON[request.cause]}, and we have refunded {amount} for order {request.order_number} {way}. "
        "Your bank may take some days to show it."
    )
    return f"Your refund of {amount} for order {request.order_number}", text


def _reversed(refund: Refund, _outcome: str, amount: str) -> tuple[str, str]:
    """As `_refunded`."""
    number, whole = refund.request.order_number, refund.request.displayed_amount
    returned = "this refund to us, so the money" if amount == whole else f"{amount} of it to us, so this money"
    text = (
        f"We told you that we had refunded {whole} for order {number}. Your bank has returned {returned} has not "
        "reached you. We still owe it to you, and we will contact you about another way to pay it."
    )
    return f"Your refund of {amount} for order {number} was returned to us", text


def _failed(refund: Refund, _outcome: str, amount: str) -> tuple[str, str]:
    """The reason may be one that no customer can do anything about, or that others must not know."""
    request = refund.request
    text = (
        f"{_REASON[request.cause]}. We have not been able to refund {amount} for order {request.order_number} yet. You "
        "do not need to do anything. We are working on it, and will write to you when the refund is made or to arrange "
        "another way to pay you."
    )
    return f"About your refund of {amount} for order {request.order_number}", text


_TEXTS = {REVERSED: _reversed, FAILED: _failed}
