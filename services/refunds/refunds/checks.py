"""The checks of refunds: open refunds and the provider's events have jobs, the book agrees with itself and the gateway
(ADR 40)."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from common.audit.actor import Actor
from common.database.statements import Connection
from common.database.transactions import Pool
from common.database.transactions import reading as reading_from
from common.jobs import queue
from common.reconciliation.check import MOST_FINDINGS, Check, Finding, QueryCheck
from common.telemetry.tracing import traceparent_below
from prometheus_client import Gauge

from refunds.book_check import Book
from refunds.domain.refund import RefundStatus
from refunds.ledger_check import Ledger
from refunds.payment_gateway.port import PaymentGateway
from refunds.repository import checks, open_refunds, provider_events, reading
from refunds.use_cases.jobs import EVENT_JOB, REFUND_JOB, new_job
from refunds.use_cases.provider_events import MOST_REPEATS, enqueue

_open = Gauge("refunds_open", "Refunds that have not ended, by their state", ["state"])
_unknown_age = Gauge(
    "refunds_unknown_age_seconds",
    "For how long the outcome of a call has been unknown at most, or 0 without such a one",
)
_disputes = Gauge("payment_disputes_open", "Payments that a customer's bank reclaims, undecided; any is an alert")

# A job is enqueued in the transaction that makes it necessary.
WITHOUT_JOB_LIMIT = timedelta(minutes=1)
# A discarded job is deleted later than that: until then, it says that the event is not to be applied.
EVENT_WINDOW = timedelta(days=30)
_EVENT_WITHOUT_JOB = provider_events.find_without_job(MOST_REPEATS)
# Its job looks an unknown one up every half minute; for longer, people have to ask the provider.
UNKNOWN_LIMIT, PENDING_LIMIT = timedelta(hours=2), timedelta(days=7)
# The objective for a refund. Its job calls every half minute.
UNREACHED_LIMIT = timedelta(hours=2)
# By each call that the provider does not answer, and each look-up.
CHANGED_BY_CALLS = ("status", "error")
# Its job looks at once, whether it is still held.
HELD_LIMIT = timedelta(minutes=1)
# Its end and that of its job are one transaction.
OWED_LIMIT = timedelta(minutes=1)


def refund_checks(gateway: PaymentGateway | None = None, limit: timedelta = WITHOUT_JOB_LIMIT) -> Iterable[Check]:
    """Without a gateway, its ledger is not compared with the book."""
    return [
        *([] if gateway is None else [Ledger(gateway)]),
        Book(),
        QueryCheck(checks.REFUND_WITHOUT_JOB, checks.find_without_job, repair=_enqueue, kind=REFUND_JOB, limit=limit),
        QueryCheck(
            "provider_event_without_job",
            _EVENT_WITHOUT_JOB,
            repair=_enqueue_event,
            volatile=["repeats"],
            kind=EVENT_JOB,
            limit=limit,
            window=EVENT_WINDOW,
        ),
        QueryCheck("refund_unknown", checks.find_long_unknown, volatile=CHANGED_BY_CALLS, limit=UNKNOWN_LIMIT),
        QueryCheck("refund_unreached", checks.find_long_unreached, volatile=CHANGED_BY_CALLS, limit=UNREACHED_LIMIT),
        QueryCheck("refund_held", checks.find_held, limit=HELD_LIMIT),
        QueryCheck("refund_owed", checks.find_owed, kind=REFUND_JOB, limit=OWED_LIMIT),
        QueryCheck("refund_pending", checks.find_long_pending, limit=PENDING_LIMIT),
        Waiting(),
    ]


class Waiting(Check):
    """Finds nothing: it keeps the gauges of refunds that wait for the provider, and of disputes, up to date."""

    name = "refunds_waiting"

    async def find(self, pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        async with reading_from(pool) as connection:
            counts = await open_refunds.count_open(connection)
            _unknown_age.set(await open_refunds.unknown_seconds(connection))
            _disputes.set(await open_refunds.count_open_disputes(connection))
        for status in RefundStatus:
            _open.labels(status).set(counts.get(status, 0))
        return []


async def _enqueue(connection: Connection, finding: Finding) -> None:
    """The new job looks the refund up before it calls, as every attempt does that is not the first."""
    refund = await reading.get(connection, UUID(finding.details["refund_id"]))
    actor = Actor(None, "reconciler", "SYSTEM", "BACKGROUND_JOB", traceparent_below())
    await queue.enqueue(connection, new_job(REFUND_JOB, refund, actor))


async def _enqueue_event(connection: Connection, finding: Finding) -> None:
    """What an event has changed already is not changed again."""
    event = finding.details
    await enqueue(connection, event["provider"], event["event_id"], event["repeats"])
