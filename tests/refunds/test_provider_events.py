"""Events of the payment provider: each is applied once, in any order, and changes the refund that it is about."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from common.database.statements import Connection
from common.database.transactions import Pool, transaction
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job
from refunds.domain.refund import Refund
from refunds.domain.request import Cause, operator_key
from refunds.payment_gateway.port import (
    Declined,
    DisputeStatus,
    GatewayEvent,
    GatewayRefund,
    GatewayRefundStatus,
    PaymentDisputed,
    RefundChanged,
    Unreadable,
)
from refunds.use_cases import booking
from refunds.use_cases.jobs import EVENT_JOB, MAIL_JOB
from refunds.use_cases.provider_events import MOST_REPEATS, apply, receive
from refunds.worker.event_job import EventJob
from refunds.worker.refund_job import RefundJob
from refunds.worker.sweep import sweep
from support.example.refunds import EVENT as ACTOR
from support.example.refunds import RETRY_UNIT, job_in_state, open_refund
from support.jobs import handlers
from support.metrics.moved import moves
from support.payments.fake_gateway import FakePaymentGateway
from support.postgres.audit_and_events import audit_and_events
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


async def test_a_part_that_was_refunded_by_hand_holds_the_refund_for_people_to_decide(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    await applied(pool, at_provider(refund, id="re_part", reference=None, amount=Decimal("10.00")))
    assert (await state_of(pool, refund))[0] == "HELD"
    async with running(pool, RefundJob(gateway)):
        await eventually(lambda: pool.fetchval("SELECT last_error LIKE '%in part%' FROM jobs WHERE kind = 'refund'"))
    assert await gateway.refunds(refund.request.payment_reference) == []
    assert await mails(pool) == 0


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
