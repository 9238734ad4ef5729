"""Tells the customer by e-mail; the refund is done by then, and stays so whatever becomes of the message."""

from collections.abc import Mapping
from html import escape
from textwrap import fill
from typing import Any
from uuid import UUID

import structlog
from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.jobs import dead_letters, queue
from common.jobs.outside_work import once
from common.jobs.queue import Job, Schedule
from common.jobs.worker import JobHandler
from common.mail.mailer import Mailer
from common.mail.message import Mail
from prometheus_client import Counter

from refunds.domain import Cause, Refund, display_amount
from refunds.repository import queries
from refunds.use_cases.commands import SERVICE

# The whole schedule, as for an invoice's e-mail: a refusal that claims to be for good often comes from a mail server in
# passing trouble, and a refused message has no effect that could be repeated.
RETRIES = Schedule((1, 2, 4))

_log = structlog.get_logger(__name__)
_mails = Counter("refund_mails_total", "E-mails that confirm refunds, by how they ended.", ["outcome"])
_REASON = {
    Cause.RETURN_COMPLETED: "We have received your return",
    Cause.ORDER_CANCELLED: "Your order was cancelled",
    Cause.LATE_PAYMENT: "Your payment reached us after your order had been cancelled",
    Cause.SURPLUS_PAYMENT: "Your order had been paid already when another payment reached us",
}


class ConfirmationJob:
    def __init__(self, pool: Pool, mailer: Mailer) -> None:
        self._pool = pool
        self._mailer = mailer

    @property
    def handler(self) -> JobHandler:
        return JobHandler(self.run, self.on_dead, RETRIES)

    async def run(self, job: Job) -> None:
        """A crash after sending sends the same message again; its Message-ID lets mail programs tell."""
        await once(self._pool, job, lambda: self._send(UUID(job.payload["refund_id"])))
        async with transaction(self._pool) as connection:
            await queue.complete(connection, job)
        _mails.labels("sent").inc()

    async def _send(self, refund_id: UUID) -> Mapping[str, Any]:
        async with reading(self._pool) as connection:
            refund = await queries.get(connection, refund_id)
        await self._mailer.send(confirmation(refund))
        return {"sent": True}

    async def on_dead(self, connection: Connection, job: Job, error: str) -> None:
        refund = await queries.get(connection, UUID(job.payload["refund_id"]))
        await dead_letters.append_dead_job(connection, SERVICE, str(refund.claim.order_id), job, error)
        _mails.labels("failed").inc()
        _log.error(
            "a refund's confirmation could not be sent", refund_id=str(refund.id), job_id=str(job.id), error=error
        )


def confirmation(refund: Refund) -> Mail:
    """Raises `ValueError` for a refund that has no address, or was not made yet."""
    claim = refund.claim
    if claim.customer_email is None or refund.transaction_id is None:
        raise ValueError(f"refund {refund.id} has nobody to tell, or nothing to tell yet")
    amount = display_amount(claim.amount, claim.currency)
    paragraphs = (
        f"Dear {claim.customer_name or 'customer'},",
        f"{_REASON[claim.cause]}, and we have refunded {amount} for order {claim.order_number} the way you paid. "
        "Your bank may take some days to show it.",
        f"Reference: {refund.transaction_id}",
        "ArtiCurated",
    )
    return Mail(
        to=claim.customer_email,
        subject=f"Your refund of {amount} for order {claim.order_number}",
        text="\n\n".join(fill(each, 72) for each in paragraphs) + "\n",
        html="".join(f"<p>{escape(each)}</p>\n" for each in paragraphs),
        message_key=f"refund-{refund.id}",
    )
