"""Disputes: a payment that the bank reclaims is not refunded, unless the dispute is won."""

from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

from common.database.transactions import Pool, transaction
from refunds.domain.request import Cause, operator_key
from refunds.payment_gateway.port import DisputeStatus
from refunds.use_cases import booking
from refunds.worker.refund_job import RefundJob
from support.example.refunds import EVENT as ACTOR
from support.example.refunds import job_in_state, open_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.provider_events import (
    DecliningProvider,
    applied,
    balances,
    dispute_events,
    dispute_of,
    running,
    state_of,
)
from support.waiting import eventually


async def test_a_payment_in_dispute_is_refunded_only_after_the_dispute_was_won(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    await applied(pool, dispute_of(refund, DisputeStatus.OPENED))
    async with running(pool, RefundJob(gateway)):
        await eventually(lambda: pool.fetchval("SELECT last_error LIKE '%disputed%' FROM jobs WHERE kind = 'refund'"))
    assert (await state_of(pool, refund))[0] == "HELD"
    assert await gateway.refunds(refund.request.payment_reference) == []

    await applied(pool, dispute_of(refund, DisputeStatus.WON), dispute_of(refund, DisputeStatus.OPENED))
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    assert (await state_of(pool, refund))[0] == "SUCCEEDED"
    assert await dispute_events(pool) == ["dispute.opened", "dispute.won"]


async def test_the_end_of_a_dispute_does_not_repeat_a_refund_that_was_declined(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), DecliningProvider()
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "dead")
    await applied(pool, dispute_of(refund, DisputeStatus.OPENED), dispute_of(refund, DisputeStatus.WON))
    await job_in_state(pool, refund, "dead")
    assert (await state_of(pool, refund))[0] == "DECLINED"


async def test_a_payment_that_the_bank_paid_back_is_not_refunded(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    await applied(pool, dispute_of(refund, DisputeStatus.OPENED), dispute_of(refund, DisputeStatus.LOST))
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    assert (await state_of(pool, refund))[0] == "DECLINED"
    assert await gateway.refunds(refund.request.payment_reference) == []
    assert await dispute_events(pool) == ["dispute.opened", "dispute.lost"]
    assert await balances(pool, refund) == {"lost": refund.request.amount}


async def test_a_payment_that_the_bank_paid_back_in_part_is_left_to_an_operator(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    opened = replace(dispute_of(refund, DisputeStatus.OPENED), amount=Decimal("10.00"))
    await applied(pool, opened, replace(opened, status=DisputeStatus.LOST))
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "dead")
    assert (await state_of(pool, refund))[0] == "FAILED"
    assert await gateway.refunds(refund.request.payment_reference) == []
    assert await balances(pool, refund) == {"lost": 10, "refundable": refund.request.amount - 10}


async def test_the_rest_of_a_payment_that_the_bank_paid_back_in_part_can_be_refunded(pool: Pool) -> None:
    payment, gateway = await open_refund(pool), FakePaymentGateway()
    await pool.execute("DELETE FROM jobs")
    await applied(pool, replace(dispute_of(payment, DisputeStatus.LOST), amount=Decimal("70.00")))
    rest = await open_refund(
        pool,
        cause=Cause.OPERATOR,
        return_id=None,
        business_key=operator_key(uuid4()),
        order_id=payment.request.order_id,
        payment_reference=payment.request.payment_reference,
        amount=Decimal("9.06"),
    )
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, rest, "done")
    assert (await state_of(pool, rest))[0] == "SUCCEEDED"
    assert await balances(pool, payment) == {"lost": 70, "paid_back": Decimal("9.06")}


async def test_a_payment_that_the_bank_reclaims_again_after_a_won_dispute_is_lost(pool: Pool) -> None:
    refund = await open_refund(pool)
    opened, won, lost = (dispute_of(refund, each) for each in DisputeStatus)
    await applied(pool, opened, won, lost, won)
    assert await balances(pool, refund) == {"lost": refund.request.amount}
    assert await dispute_events(pool) == ["dispute.opened", "dispute.won", "dispute.lost"]


async def test_a_held_refund_of_which_less_is_left_by_the_end_of_the_dispute_fails(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    await applied(pool, dispute_of(refund, DisputeStatus.OPENED), dispute_of(refund, DisputeStatus.WON))
    assert (await state_of(pool, refund))[0] == "HELD"
    part = replace(refund.request, cause=Cause.OPERATOR, amount=Decimal("5.00"), return_id=None)
    async with transaction(pool) as connection:
        await booking.reserve_refund(connection, replace(refund, id=uuid4(), request=part), ACTOR)
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "dead")
    assert (await state_of(pool, refund))[0] == "FAILED"
    assert await gateway.refunds(refund.request.payment_reference) == []
