"""Refunds that somebody makes in the provider's dashboard: they count for what is owed, and nothing is paid twice."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from common.database.statements import Connection
from common.database.transactions import Pool
from common.jobs.handler import Subject
from common.jobs.job import Job
from refunds.payment_gateway.port import GatewayRefund, RefundChanged
from refunds.worker.event_job import EventJob
from refunds.worker.refund_job import RefundJob
from support.example.refunds import job_in_state, open_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.provider_events import (
    FAILED,
    SUCCEEDED,
    DecliningProvider,
    applied,
    at_provider,
    balances,
    event_of,
    excess,
    made,
    mails,
    no_events_left,
    received,
    running,
    state_of,
)
from support.waiting import eventually


async def test_a_refund_made_by_hand_pays_what_is_owed(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    await applied(pool, at_provider(refund, id="re_by_hand", reference=None))
    assert await state_of(pool, refund) == ("SUCCEEDED", "re_by_hand")
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    assert await gateway.refunds(refund.request.payment_reference) == []
    assert await balances(pool, refund) == {"paid_elsewhere": refund.request.amount}


async def test_a_refund_made_by_hand_before_ours_was_requested_is_adopted(pool: Pool) -> None:
    payment = f"pi_{uuid4().hex}"
    foreign = GatewayRefund("re_early", SUCCEEDED, None, payment, Decimal("79.06"), "EUR", None, datetime.now(UTC))
    await applied(pool, foreign)
    refund, gateway = await open_refund(pool, payment_reference=payment), FakePaymentGateway()
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    assert await state_of(pool, refund) == ("SUCCEEDED", "re_early")
    assert await gateway.refunds(payment) == []


async def test_a_refund_made_by_hand_pays_only_one_of_two_that_are_owed(pool: Pool) -> None:
    payment = f"pi_{uuid4().hex}"
    older, younger = [await open_refund(pool, payment_reference=payment) for _ in range(2)]
    await applied(pool, at_provider(older, id="re_by_hand", reference=None))
    assert await state_of(pool, older) == ("SUCCEEDED", "re_by_hand")
    assert await state_of(pool, younger) == ("READY", None)


async def test_a_refund_made_by_hand_that_is_reported_during_a_declined_call_is_adopted(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), DecliningProvider()

    async def event_arrives() -> None:
        async with running(pool, EventJob()):
            await received(pool, event_of(RefundChanged(at_provider(refund, id="re_by_hand", reference=None))))
            await no_events_left(pool)

    gateway.meanwhile = event_arrives
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    assert await state_of(pool, refund) == ("SUCCEEDED", "re_by_hand")
    assert await mails(pool) == 1


async def test_a_refund_made_by_hand_that_is_reported_at_the_moment_of_the_final_failure_is_adopted(pool: Pool) -> None:
    class LateEventJob(RefundJob):
        async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
            if not reported:
                reported.append(at_provider(refund, id="re_by_hand", reference=None))
                await applied(pool, *reported)
            return await super().on_failure(connection, job, error)

    reported: list[GatewayRefund] = []
    refund = await open_refund(pool)
    async with running(pool, LateEventJob(DecliningProvider())):
        await job_in_state(pool, refund, "done")
    assert await state_of(pool, refund) == ("SUCCEEDED", "re_by_hand")
    assert await mails(pool) == 1
    assert await balances(pool, refund) == {"paid_elsewhere": refund.request.amount}


async def test_a_part_that_was_refunded_by_hand_holds_the_refund_for_people_to_decide(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    await applied(pool, at_provider(refund, id="re_part", reference=None, amount=Decimal("10.00")))
    assert (await state_of(pool, refund))[0] == "HELD"
    async with running(pool, RefundJob(gateway)):
        await eventually(lambda: pool.fetchval("SELECT last_error LIKE '%in part%' FROM jobs WHERE kind = 'refund'"))
    assert await gateway.refunds(refund.request.payment_reference) == []
    assert await mails(pool) == 0


async def test_a_second_refund_with_our_reference_is_booked_and_shown_as_an_excess(pool: Pool) -> None:
    refund = await made(pool, FakePaymentGateway())
    await applied(pool, at_provider(refund, id="re_second"))
    assert await excess(pool) == refund.request.amount
    await applied(pool, at_provider(refund, FAILED, id="re_second"))
    assert await excess(pool) == 0
    assert await balances(pool, refund) == {"paid_back": refund.request.amount}


async def test_a_refund_with_our_reference_and_another_amount_is_booked_and_ours_is_not_made(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    other = at_provider(refund, id="re_other", amount=Decimal("10.00"))
    gateway.make_by_hand(other)
    await applied(pool, other)
    async with running(pool, RefundJob(gateway)):
        await eventually(lambda: pool.fetchval("SELECT last_error LIKE '%amount%' FROM jobs WHERE kind = 'refund'"))
    assert (await state_of(pool, refund))[0] == "HELD"
    assert await gateway.refunds(refund.request.payment_reference) == [other]
    assert await balances(pool, refund) == {"paid_elsewhere": 10, "refundable": refund.request.amount - 10}


async def test_parts_that_were_refunded_by_hand_pay_what_is_owed_together(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    first, rest = Decimal("40.00"), refund.request.amount - 40
    await applied(pool, at_provider(refund, id="re_first", reference=None, amount=first))
    async with running(pool, RefundJob(gateway)):
        await eventually(lambda: pool.fetchval("SELECT last_error LIKE '%in part%' FROM jobs WHERE kind = 'refund'"))
        await applied(pool, at_provider(refund, id="re_rest", reference=None, amount=rest))
        await job_in_state(pool, refund, "done")
    assert await state_of(pool, refund) == ("SUCCEEDED", "re_rest")
    assert await gateway.refunds(refund.request.payment_reference) == []
    assert await balances(pool, refund) == {"paid_elsewhere": refund.request.amount}


async def test_a_refund_is_made_at_once_when_the_part_that_held_it_has_failed(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    part = at_provider(refund, id="re_part", reference=None, amount=Decimal("10.00"))
    await applied(pool, part)
    async with running(pool, RefundJob(gateway)):
        await eventually(lambda: pool.fetchval("SELECT last_error LIKE '%in part%' FROM jobs WHERE kind = 'refund'"))
        await applied(pool, replace(part, status=FAILED))
        await job_in_state(pool, refund, "done")
    assert (await state_of(pool, refund))[0] == "SUCCEEDED"
    assert await balances(pool, refund) == {"paid_back": refund.request.amount}
