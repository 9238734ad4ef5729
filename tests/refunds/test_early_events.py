"""Events of the provider that come before the report of their payment."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from common.database.transactions import Pool, transaction
from refunds.payment_gateway.port import DisputeStatus, GatewayRefund, PaymentDisputed, RefundChanged
from refunds.use_cases.jobs import EVENT_JOB
from refunds.use_cases.provider_events import MOST_REPEATS, apply
from refunds.worker.event_job import EventJob
from support.example.refunds import EVENT as ACTOR
from support.example.refunds import open_refund
from support.payments.provider_events import (
    SUCCEEDED,
    balances,
    dispute_events,
    event_of,
    is_in,
    no_events_left,
    received,
    running,
    state_of,
)
from support.waiting import eventually


async def test_a_refund_made_by_hand_that_is_reported_before_its_payment_is_booked_with_the_payment(pool: Pool) -> None:
    part = GatewayRefund("re_part", SUCCEEDED, None, "pi_later", Decimal("10.00"), "EUR", None, datetime.now(UTC))
    async with running(pool, EventJob()):
        await received(pool, event_of(RefundChanged(part)))
        await no_events_left(pool)
        refund = await open_refund(pool, payment_reference="pi_later")
        await eventually(lambda: pool.fetchval("SELECT paid_elsewhere = 10 FROM book_payments"))
    assert await pool.fetchval("SELECT count(*) FROM book_disagreements") == 0
    assert (await state_of(pool, refund))[0] == "HELD"
    assert await balances(pool, refund) == {"paid_elsewhere": 10, "refundable": refund.request.amount - 10}


async def test_a_dispute_that_is_reported_before_its_payment_is_applied_with_the_payment(pool: Pool) -> None:
    payment = f"pi_{uuid4().hex}"
    async with running(pool, EventJob()):
        opened = PaymentDisputed("du_early", payment, Decimal("79.06"), "EUR", DisputeStatus.OPENED, "fraudulent")
        await received(pool, event_of(opened))
        await no_events_left(pool)
        refund = await open_refund(pool, payment_reference=payment)
        await eventually(is_in(pool, refund, "HELD"))
    assert await dispute_events(pool) == ["dispute.opened"]
    assert await balances(pool, refund) == {"disputed": Decimal("79.06")}


async def test_a_refund_made_by_hand_of_a_payment_that_never_comes_is_kept_as_a_disagreement(pool: Pool) -> None:
    foreign = GatewayRefund("re_other", SUCCEEDED, None, "pi_other", Decimal(5), "EUR", None, datetime.now(UTC))
    event = event_of(RefundChanged(foreign))
    await received(pool, event)
    for repeats in range(MOST_REPEATS + 1):
        assert await pool.fetchval("SELECT count(*) FROM book_disagreements") == 0
        payload = {"provider": "fake", "event_id": event.id, "repeats": repeats}
        async with transaction(pool) as connection:
            await apply(connection, payload, ACTOR)
    assert await pool.fetchval("SELECT booked FROM book_disagreements") == "no such payment"
    # Each repeat is a job, and the last one enqueues none.
    assert await pool.fetchval("SELECT count(*) FROM jobs WHERE kind = $1", EVENT_JOB) == 1 + MOST_REPEATS
