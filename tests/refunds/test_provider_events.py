"""Events of the payment provider: each is applied once, in any order, and changes the refund that it is about."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from common.database.transactions import Pool
from refunds.payment_gateway.port import DisputeStatus, GatewayEvent, RefundChanged, Unreadable
from refunds.use_cases.jobs import EVENT_JOB
from refunds.worker.event_job import EventJob
from refunds.worker.refund_job import RefundJob
from refunds.worker.sweep import sweep
from support.example.refunds import job_in_state, open_refund
from support.metrics.moved import moves
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.provider_events import (
    FAILED,
    SUCCEEDED,
    PendingProvider,
    applied,
    at_provider,
    balances,
    dispute_of,
    event_of,
    is_in,
    made,
    mails,
    no_events_left,
    received,
    running,
    state_of,
)
from support.postgres.audit_and_events import audit_and_events
from support.waiting import eventually


async def test_an_event_that_is_received_twice_is_applied_once(pool: Pool) -> None:
    refund = await open_refund(pool)
    event = event_of(RefundChanged(at_provider(refund)))
    assert [await received(pool, event) for _ in range(3)] == [True, False, False]
    assert await pool.fetchval("SELECT count(*) FROM jobs WHERE kind = $1", EVENT_JOB) == 1


async def test_a_success_that_only_an_event_reports_ends_the_job_without_a_call(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    await applied(pool, at_provider(refund))
    assert await state_of(pool, refund) == ("SUCCEEDED", f"re_{refund.id.hex}")
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    assert await gateway.refunds(refund.request.payment_reference) == []
    assert await mails(pool) == 1


async def test_an_event_before_the_answer_and_the_answer_make_one_success(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()

    async def event_arrives() -> None:
        async with running(pool, EventJob()):
            await received(pool, event_of(RefundChanged(at_provider(refund))))
            await no_events_left(pool)

    gateway.meanwhile = event_arrives
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    assert (await audit_and_events(pool, "REFUND", str(refund.id))).events == [("refund.succeeded", 1)]
    assert await mails(pool) == 1


async def test_a_success_that_is_taken_back_is_told_to_whoever_was_told_of_it(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    refund = await made(pool, gateway)
    _, transaction_id = await state_of(pool, refund)
    taken_back = at_provider(refund, FAILED, id=transaction_id, reason="account_closed")

    await applied(pool, taken_back, at_provider(refund, SUCCEEDED, id=transaction_id), taken_back)

    assert await state_of(pool, refund) == ("REVERSED", transaction_id)
    assert (await audit_and_events(pool, "REFUND", str(refund.id))).events == [
        ("refund.succeeded", 1),
        ("refund.reversed", 2),
    ]
    assert await mails(pool) == 2
    assert await balances(pool, refund) == {"refundable": refund.request.amount}


async def test_a_payment_that_was_reported_by_its_charge_is_found_by_that(pool: Pool) -> None:
    refund = await open_refund(pool, payment_reference="ch_1")
    dispute = replace(dispute_of(refund, DisputeStatus.OPENED), payment_reference="pi_1", payment_alias="ch_1")
    by_hand = at_provider(refund, id="re_1", reference=None, payment_reference="pi_1", payment_alias="ch_1")
    await applied(pool, dispute)
    assert await balances(pool, refund) == {"disputed": refund.request.amount}
    await applied(pool, replace(dispute, status=DisputeStatus.WON), by_hand)
    assert await state_of(pool, refund) == ("SUCCEEDED", "re_1")


async def test_an_event_that_cannot_be_read_is_a_dead_job(pool: Pool) -> None:
    event = GatewayEvent("evt_odd", Unreadable("refund.updated: 'ZZZ' is not an ISO 4217 currency"), datetime.now(UTC))
    async with running(pool, EventJob()):
        assert await received(pool, event)
        await eventually(lambda: pool.fetchval("SELECT last_error LIKE '%ZZZ%' FROM jobs WHERE state = 'dead'"))


@moves("gateway_events_swept_total")
async def test_events_that_only_a_sweep_finds_are_counted(pool: Pool) -> None:
    gateway, refund = PendingProvider(), await open_refund(pool)
    gateway.events.append(event_of(RefundChanged(at_provider(refund, SUCCEEDED, id="re_swept"))))
    assert await sweep(pool, gateway) == 1


@pytest.mark.parametrize("is_swept", [False, True])
async def test_a_pending_refund_ends_as_the_provider_reports(pool: Pool, is_swept: bool) -> None:
    gateway = PendingProvider()
    for status, expected, job_state in [(SUCCEEDED, "SUCCEEDED", "done"), (FAILED, "DECLINED", "dead")]:
        refund = await open_refund(pool)
        async with running(pool, RefundJob(gateway), EventJob()):
            await eventually(is_in(pool, refund, "PENDING"))
            _, transaction_id = await state_of(pool, refund)
            event = event_of(RefundChanged(at_provider(refund, status, id=transaction_id)))
            if is_swept:
                gateway.events.append(event)
                assert await sweep(pool, gateway) == 1
                assert await sweep(pool, gateway) == 0
            else:
                await received(pool, event)
            await job_in_state(pool, refund, job_state)
        assert (await state_of(pool, refund))[0] == expected
        types = [name for name, _ in (await audit_and_events(pool, "REFUND", str(refund.id))).events]
        assert types == ["refund.processing", "refund.succeeded" if status is SUCCEEDED else "refund.failed"]
