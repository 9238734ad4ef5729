"""A refund made by hand that is still on its way, and is adopted: its money is in flight, and not refundable."""

from dataclasses import replace

import pytest
from common.database.transactions import Pool, transaction
from common.jobs import queue
from refunds.domain.book import Overdrawn
from refunds.domain.refund import Refund
from refunds.payment_gateway.port import GatewayRefund
from refunds.use_cases import booking
from refunds.use_cases.jobs import REFUND_JOB
from refunds.worker.refund_job import RefundJob
from support.example.refunds import EVENT, job_in_state, open_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.parts import WHOLE, operators_refund
from support.payments.provider_events import (
    FAILED,
    PENDING,
    SUCCEEDED,
    DecliningProvider,
    applied,
    at_provider,
    balances,
    excess,
    is_in,
    running,
    state_of,
)
from support.waiting import eventually


def pending_by_hand(refund: Refund) -> GatewayRefund:
    return at_provider(refund, PENDING, id="re_by_hand", reference=None)


async def reserve(pool: Pool, refund: Refund) -> None:
    """Raises `Overdrawn`."""
    async with transaction(pool) as connection:
        await booking.reserve_refund(connection, refund, EVENT)


@pytest.mark.parametrize("state", ["READY", "HELD", "DECLINED"])
async def test_nothing_else_is_refunded_while_an_adopted_refund_is_on_its_way(pool: Pool, state: str) -> None:
    refund = await open_refund(pool, amount=WHOLE)
    await pool.execute("UPDATE refunds SET status = $1", state)
    pending = pending_by_hand(refund)
    await applied(pool, pending)
    assert await state_of(pool, refund) == ("PENDING", "re_by_hand")
    assert await balances(pool, refund) == {"in_flight": WHOLE}
    with pytest.raises(Overdrawn):
        await reserve(pool, await operators_refund(pool, refund, 1))

    await applied(pool, replace(pending, status=SUCCEEDED))
    assert (await state_of(pool, refund))[0] == "SUCCEEDED"
    assert await balances(pool, refund) == {"paid_back": WHOLE}
    assert await excess(pool) == 0


async def test_an_adopted_refund_that_exceeds_what_is_left_is_booked_and_shown_as_an_excess_until_it_fails(
    pool: Pool,
) -> None:
    refund = await open_refund(pool, amount=WHOLE)
    part = await operators_refund(pool, refund, 60)
    await reserve(pool, part)
    await pool.execute("UPDATE jobs SET due_at = now() + interval '1 hour' WHERE business_key = $1", part.reference)
    pending = pending_by_hand(refund)
    await applied(pool, pending)
    assert await balances(pool, refund) == {"in_flight": 160, "refundable": -60}
    assert await excess(pool) == 60

    await applied(pool, replace(pending, status=FAILED))
    async with running(pool, RefundJob(FakePaymentGateway())):
        await job_in_state(pool, refund, "dead")
    assert await balances(pool, refund) == {"in_flight": 60, "refundable": 40}
    assert await excess(pool) == 0


async def test_an_accepted_refund_that_a_replay_finds_after_a_decline_is_in_flight_again(pool: Pool) -> None:
    refund, gateway = await open_refund(pool, amount=WHOLE), DecliningProvider()
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "dead")
        assert await balances(pool, refund) == {"refundable": WHOLE}
        gateway.make_by_hand(at_provider(refund, PENDING))
        async with transaction(pool) as connection:
            await queue.replay_dead(connection, REFUND_JOB, refund.reference)
        await eventually(is_in(pool, refund, "PENDING"))
    assert await balances(pool, refund) == {"in_flight": WHOLE}
