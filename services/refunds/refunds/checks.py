"""The checks of refunds: an open refund has a job, and the book agrees with itself and the gateway (ADR 40)."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from common.audit.actor import Actor
from common.database.statements import Connection
from common.jobs import queue
from common.reconciliation.check import Check, Finding, QueryCheck
from common.telemetry.trace_context import new_traceparent

from refunds.book_check import Book
from refunds.ledger_check import Ledger
from refunds.payment_gateway.port import PaymentGateway
from refunds.repository import checks, reading
from refunds.use_cases.jobs import REFUND_JOB, new_job

# A job is enqueued in the transaction that makes it necessary.
WITHOUT_JOB_LIMIT = timedelta(minutes=1)


def refund_checks(gateway: PaymentGateway | None = None, limit: timedelta = WITHOUT_JOB_LIMIT) -> Iterable[Check]:
    """Without a gateway, its ledger is not compared with the book."""
    return [
        *([] if gateway is None else [Ledger(gateway)]),
        Book(),
        QueryCheck(checks.REFUND_WITHOUT_JOB, checks.find_without_job, repair=_enqueue, kind=REFUND_JOB, limit=limit),
    ]


async def _enqueue(connection: Connection, finding: Finding) -> None:
    """The new job looks the refund up before it calls, as every attempt does that is not the first."""
    refund = await reading.get(connection, UUID(finding.details["refund_id"]))
    actor = Actor(None, "reconciler", "SYSTEM", "BACKGROUND_JOB", new_traceparent())
    await queue.enqueue(connection, new_job(REFUND_JOB, refund, actor))
