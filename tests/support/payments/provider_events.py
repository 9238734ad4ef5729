"""Events that the payment provider reports about refunds and disputes, and providers that behave in a special way."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from common.database.transactions import Pool, transaction
from common.jobs.handler import JobHandler
from refunds.domain.refund import Refund
from refunds.payment_gateway.port import (
    Declined,
    DisputeStatus,
    GatewayEvent,
    GatewayRefund,
    GatewayRefundStatus,
    PaymentDisputed,
    RefundChanged,
)
from refunds.use_cases.jobs import EVENT_JOB, MAIL_JOB
from refunds.use_cases.provider_events import receive
from refunds.worker.event_job import EventJob
from refunds.worker.refund_job import RefundJob
from support.example.refunds import RETRY_UNIT, job_in_state, open_refund
from support.jobs import handlers
from support.payments.fake_gateway import FakePaymentGateway
from support.waiting import eventually

PENDING, SUCCEEDED, FAILED = GatewayRefundStatus.PENDING, GatewayRefundStatus.SUCCEEDED, GatewayRefundStatus.FAILED


class ProviderWithEvents(FakePaymentGateway):
    """`next_status` is that of the next refund; `events` are found by a sweep."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[GatewayEvent] = []

    async def events_since(self, cursor: str | None) -> tuple[list[GatewayEvent], str | None]:
        return self.events[int(cursor or 0) :], str(len(self.events))


def at_provider(refund: Refund, status: GatewayRefundStatus = SUCCEEDED, **changes: Any) -> GatewayRefund:
    values: dict[str, Any] = {
        "id": f"re_{refund.id.hex}",
        "status": status,
        "reference": refund.reference,
        "payment_reference": refund.request.payment_reference,
        "amount": refund.request.amount,
        "currency": refund.request.currency,
        "reason": None,
        "created_at": datetime.now(UTC),
    }
    return GatewayRefund(**values | changes)


def event_of(kind: RefundChanged | PaymentDisputed) -> GatewayEvent:
    return GatewayEvent(f"evt_{uuid4().hex}", kind, datetime.now(UTC))


def dispute_of(refund: Refund, status: DisputeStatus) -> PaymentDisputed:
    request = refund.request
    return PaymentDisputed(
        f"du_{refund.id.hex}", request.payment_reference, request.amount, request.currency, status, "fraudulent"
    )


async def applied(pool: Pool, *kinds: GatewayRefund | PaymentDisputed) -> None:
    """Receive one event after the other, and apply each before the next."""
    for kind in kinds:
        event = event_of(RefundChanged(kind) if isinstance(kind, GatewayRefund) else kind)
        await received(pool, event)
        async with running(pool, EventJob()):
            await no_events_left(pool)


async def received(pool: Pool, event: GatewayEvent) -> bool:
    async with transaction(pool) as connection:
        return await receive(connection, "fake", event)


async def no_events_left(pool: Pool) -> None:
    query = "SELECT count(*) = 0 FROM jobs WHERE kind = $1 AND state <> 'done' AND payload -> 'repeats' IS NULL"
    await eventually(lambda: pool.fetchval(query, EVENT_JOB))


def running(pool: Pool, *jobs: JobHandler) -> Any:
    return handlers.running_worker(pool, *jobs, service="refunds", retry_unit_seconds=RETRY_UNIT)


async def state_of(pool: Pool, refund: Refund) -> tuple[str, str | None]:
    row = await pool.fetchrow("SELECT status, transaction_id FROM refunds WHERE id = $1", refund.id)
    assert row is not None
    return row["status"], row["transaction_id"]


async def mails(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM jobs WHERE kind = $1", MAIL_JOB))


async def made(pool: Pool, gateway: FakePaymentGateway, **changes: Any) -> Refund:
    refund = await open_refund(pool, **changes)
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    return refund


class DecliningProvider(FakePaymentGateway):
    async def refund(self, call: Any) -> GatewayRefund:
        if self.meanwhile is not None:
            await self.meanwhile()
        raise Declined("the card has expired")


class PendingProvider(ProviderWithEvents):
    async def refund(self, call: Any) -> GatewayRefund:
        made = await super().refund(call)
        pending = GatewayRefund(**{name: getattr(made, name) for name in made.__slots__} | {"status": PENDING})
        self._refunds[made.id] = pending
        return pending


def is_in(pool: Pool, refund: Refund, status: str) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return (await state_of(pool, refund))[0] == status

    return condition


async def dispute_events(pool: Pool) -> list[str]:
    rows = await pool.fetch("SELECT type FROM outbox WHERE type LIKE 'dispute.%' ORDER BY position")
    return [row["type"] for row in rows]


async def excess(pool: Pool) -> Decimal:
    amount: Decimal = await pool.fetchval("SELECT excess FROM book_payments")
    return amount


async def balances(pool: Pool, refund: Refund) -> dict[str, Decimal]:
    """The accounts of the refund's payment that are not empty."""
    row = await pool.fetchrow("SELECT * FROM book_payments WHERE order_id = $1", refund.request.order_id)
    assert row is not None
    names = ("refundable", "in_flight", "paid_back", "paid_elsewhere", "settled", "disputed", "lost")
    return {name: row[name] for name in names if row[name]}
