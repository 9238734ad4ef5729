"""An automatic refund whose payment operators have paid back: it can be settled, and its failure is no news."""

from dataclasses import replace

import pytest
from common.database.transactions import Pool, transaction
from common.jobs import queue
from refunds.checks import refund_checks
from refunds.domain.refund import Refund
from refunds.domain.request import Cause, cancellation_key
from refunds.payment_gateway.port import DisputeStatus
from refunds.use_cases import booking
from refunds.use_cases.jobs import FAILED, REFUND_JOB, SETTLED
from refunds.use_cases.results import publish_results_again
from refunds.worker.refund_job import RefundJob
from support.example.refunds import EVENT, a_refund, job_in_state, open_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.parts import WHOLE, events_of, paid_by_an_operator, settled, told_amounts
from support.payments.provider_events import FAILED as TAKEN_BACK
from support.payments.provider_events import (
    DecliningProvider,
    applied,
    balances,
    dispute_of,
    made,
    running,
    state_of,
)
from support.reconciliation.rounds import reconcile


async def open_cancellation(pool: Pool) -> Refund:
    """The refund of 100 of a cancelled order."""
    key = cancellation_key(a_refund().request.order_id)
    return await open_refund(
        pool, amount=WHOLE, cause=Cause.ORDER_CANCELLED, return_id=None, business_key=key, payment_reference=f"pi_{key}"
    )


async def declined_cancellation(pool: Pool) -> Refund:
    refund = await open_cancellation(pool)
    async with running(pool, RefundJob(DecliningProvider())):
        await job_in_state(pool, refund, "dead")
    return refund


async def refunded_by_an_operator_first(pool: Pool, refund: Refund, amount: int, gateway: FakePaymentGateway) -> None:
    """Before the automatic refund is tried."""
    await pool.execute("UPDATE jobs SET due_at = now() + interval '1 hour' WHERE kind = 'refund'")
    await paid_by_an_operator(pool, refund, amount, gateway)
    await pool.execute("UPDATE jobs SET due_at = now() WHERE state = 'ready'")


async def replayed(pool: Pool, refund: Refund, gateway: FakePaymentGateway, state: str = "dead") -> None:
    async with transaction(pool) as connection:
        await queue.replay_dead(connection, REFUND_JOB, refund.reference)
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, state)


async def test_a_return_whose_payment_operators_have_refunded_in_parts_is_settled_without_an_entry(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    refund = await open_refund(pool, amount=WHOLE)
    await refunded_by_an_operator_first(pool, refund, 20, gateway)
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "dead")
    assert await state_of(pool, refund) == ("FAILED", None)
    await paid_by_an_operator(pool, refund, 80, gateway)

    await settled(pool, refund, "refunded by operators")
    assert await state_of(pool, refund) == ("SUCCEEDED", "refunded by operators")
    assert await events_of(pool, refund) == ["refund.failed", "refund.succeeded"]
    assert await told_amounts(pool, refund, SETTLED) == [], "the e-mails about the operators' refunds have told all"
    async with transaction(pool) as connection:
        await booking.book_unbooked_refunds(connection, refund.request.order_id, EVENT)
    assert await balances(pool, refund) == {"paid_back": WHOLE}


async def test_a_replay_after_an_operator_has_refunded_all_publishes_no_newer_failure(pool: Pool) -> None:
    refund, gateway = await declined_cancellation(pool), FakePaymentGateway()
    await paid_by_an_operator(pool, refund, 100, gateway)
    await replayed(pool, refund, gateway)
    assert await events_of(pool, refund) == ["refund.failed"]
    assert await balances(pool, refund) == {"paid_back": WHOLE}
    await settled(pool, refund, "refunded by an operator")
    await replayed(pool, refund, gateway, "done")
    assert await events_of(pool, refund) == ["refund.failed", "refund.succeeded"]


@pytest.mark.parametrize("cause", ["a cancellation", "a return"])
async def test_the_first_failure_after_an_operator_has_refunded_all_is_told_to_nobody_but_the_return(
    pool: Pool, cause: str
) -> None:
    gateway = FakePaymentGateway()
    refund = await (open_cancellation(pool) if cause == "a cancellation" else open_refund(pool, amount=WHOLE))
    await refunded_by_an_operator_first(pool, refund, 100, gateway)
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "dead")
    assert await events_of(pool, refund) == ([] if cause == "a cancellation" else ["refund.failed"])
    assert await told_amounts(pool, refund, FAILED) == []


async def test_a_refund_that_was_taken_back_and_paid_by_an_operator_is_settled_and_no_longer_owed(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    refund = await made(pool, gateway, amount=WHOLE)
    [at_gateway] = await gateway.refunds(refund.request.payment_reference)
    await applied(pool, replace(at_gateway, status=TAKEN_BACK))
    await paid_by_an_operator(pool, refund, 100, gateway)
    await pool.execute("UPDATE refunds SET called_at = now() - interval '2 minutes'")
    assert await reconcile(pool, refund_checks()) == [("refund_owed", str(refund.id))]

    await settled(pool, refund, "refunded by an operator")
    assert await reconcile(pool, refund_checks()) == []
    assert await balances(pool, refund) == {"paid_back": WHOLE}


async def test_a_dispute_that_is_lost_after_an_operator_has_refunded_all_publishes_no_newer_failure(pool: Pool) -> None:
    refund, gateway = await declined_cancellation(pool), FakePaymentGateway()
    await paid_by_an_operator(pool, refund, 100, gateway)
    await applied(pool, dispute_of(refund, DisputeStatus.LOST))
    await replayed(pool, refund, gateway, "done")
    assert (await state_of(pool, refund))[0] == "DECLINED"
    assert await events_of(pool, refund) == ["refund.failed"]


async def test_of_results_that_are_published_again_the_success_is_the_newest(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    refund = await open_cancellation(pool)
    await refunded_by_an_operator_first(pool, refund, 100, gateway)
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "dead")
    request = refund.request
    async with transaction(pool) as connection:
        await publish_results_again(
            connection, request.order_id, EVENT, return_id=None, reference=request.payment_reference
        )
    newest = await pool.fetch("SELECT type FROM outbox ORDER BY position DESC LIMIT 2")
    assert [row["type"] for row in newest] == ["refund.succeeded", "refund.failed"]
