"""Events of the provider that come before the report of their payment."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from common.database.transactions import Pool, transaction
from refunds.payment_gateway.port import DisputeStatus, GatewayRefund, PaymentDisputed, RefundChanged
from refunds.repository import provider
from refunds.use_cases.jobs import EVENT_JOB
from refunds.use_cases.provider_events import MOST_REPEATS, apply
from refunds.worker.event_job import EventJob
from refunds.worker.refund_job import RefundJob
from support.example.refunds import EVENT as ACTOR
from support.example.refunds import a_refund, job_in_state, open_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.provider_events import (
    SUCCEEDED,
    applied,
    balances,
    dispute_events,
    event_of,
    is_in,
    mails,
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


def by_hand_of_two_ids(charge: str) -> GatewayRefund:
    """A refund that was made by hand. Its payment has two ids: a payment intent and a charge."""
    intent, amount = f"pi_of_{charge}", Decimal("79.06")
    return GatewayRefund(f"re_{charge}", SUCCEEDED, None, intent, amount, "EUR", None, datetime.now(UTC), charge)


async def test_a_refund_made_by_hand_before_its_payment_is_reported_by_the_charge_is_adopted(pool: Pool) -> None:
    charge, gateway = f"ch_{uuid4().hex}", FakePaymentGateway()
    await applied(pool, by_hand_of_two_ids(charge))
    refund = await open_refund(pool, payment_reference=charge)
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    assert await state_of(pool, refund) == ("SUCCEEDED", f"re_{charge}")
    assert await gateway.refunds(charge) == []
    assert await mails(pool) == 1


async def test_a_repeated_event_names_the_payment_as_the_book_does_and_no_older_one_changes_that(pool: Pool) -> None:
    charge = f"ch_{uuid4().hex}"
    by_hand = by_hand_of_two_ids(charge)
    event = event_of(RefundChanged(by_hand))
    await received(pool, event)
    refund = None
    for repeats in range(2):
        async with transaction(pool) as connection:
            await apply(connection, {"provider": "fake", "event_id": event.id, "repeats": repeats}, ACTOR)
        refund = refund or await open_refund(pool, payment_reference=charge)
    assert refund is not None
    assert await state_of(pool, refund) == ("SUCCEEDED", by_hand.id)
    assert await balances(pool, refund) == {"paid_elsewhere": Decimal("79.06")}

    async with transaction(pool) as connection:
        assert (await provider.merge_refund(connection, by_hand)).payment_reference == charge


async def test_a_refund_made_by_hand_before_its_payment_was_known_settles_the_refund_of_that_payment(
    pool: Pool,
) -> None:
    charge = f"ch_{uuid4().hex}"
    await applied(pool, by_hand_of_two_ids(charge))
    refund = await open_refund(pool, payment_reference=charge)
    async with transaction(pool) as connection:
        assert not await provider.is_of_another_refund(connection, f"re_{charge}", refund)
        other = a_refund(payment_reference="ch_other")
        assert await provider.is_of_another_refund(connection, f"re_{charge}", other)


@pytest.mark.parametrize("alias", [None, "ch_disputed"])
async def test_a_refund_of_a_payment_that_was_disputed_before_it_was_known_is_held_and_made_after_a_won_dispute(
    pool: Pool, alias: str | None
) -> None:
    gateway = FakePaymentGateway()
    opened = PaymentDisputed("du_early", "pi_1", Decimal("79.06"), "EUR", DisputeStatus.OPENED, "fraudulent", alias)
    event = event_of(opened)
    await received(pool, event)
    async with transaction(pool) as connection:
        await apply(connection, {"provider": "fake", "event_id": event.id}, ACTOR)
    refund = await open_refund(pool, payment_reference=alias or "pi_1")
    async with running(pool, RefundJob(gateway)):
        await eventually(is_in(pool, refund, "HELD"))
    assert (await gateway.refunds("pi_1"), await dispute_events(pool)) == ([], [])

    # A second event of the same status, which the provider may send, has a repeat of its own.
    for _ in range(2):
        async with transaction(pool) as connection:
            await apply(connection, {"provider": "fake", "event_id": event.id, "repeats": 1}, ACTOR)
    assert await balances(pool, refund) == {"disputed": Decimal("79.06")}
    assert await dispute_events(pool) == ["dispute.opened"]

    await applied(pool, replace(opened, status=DisputeStatus.WON))
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    assert (await state_of(pool, refund))[0] == "SUCCEEDED"
    assert await dispute_events(pool) == ["dispute.opened", "dispute.won"]


async def test_a_dispute_that_has_ended_before_its_payment_is_known_is_booked_and_told_by_its_end(pool: Pool) -> None:
    opened = PaymentDisputed("du_early", "pi_1", Decimal("79.06"), "EUR", DisputeStatus.OPENED, "fraudulent")
    events = [event_of(opened), event_of(replace(opened, status=DisputeStatus.LOST))]
    refund = None
    for repeats in range(2):
        for event in events:
            if not repeats:
                await received(pool, event)
            async with transaction(pool) as connection:
                await apply(connection, {"provider": "fake", "event_id": event.id, "repeats": repeats}, ACTOR)
        refund = refund or await open_refund(pool, payment_reference="pi_1")
    assert refund is not None
    assert await balances(pool, refund) == {"lost": Decimal("79.06")}
    assert await dispute_events(pool) == ["dispute.lost"]


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
