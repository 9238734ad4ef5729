"""The checks of refunds: a refund whose job was lost gets a job again; the ledger of the gateway is compared."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from common.database.transactions import Pool, transaction
from refunds.checks import refund_checks
from refunds.domain.refund import Refund
from refunds.ledger_check import Ledger
from refunds.payment_gateway.port import GatewayRefund, GatewayRefundStatus, RefundCall
from refunds.use_cases import booking, provider_events
from support.example.refunds import EVENT, a_request, claim_job, job_of, open_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.reconciliation.rounds import discrepancies, reconcile

NOW = timedelta(0)


async def test_a_refund_whose_job_was_deleted_gets_a_new_one(pool: Pool) -> None:
    refund = await open_refund(pool)
    await open_refund(pool)
    assert await reconcile(pool, refund_checks(limit=NOW)) == []
    await pool.execute("DELETE FROM jobs WHERE business_key = $1", refund.reference)

    assert await reconcile(pool, refund_checks()) == []  # it is less than a minute old
    assert await reconcile(pool, refund_checks(limit=NOW)) == [("refund_without_job", str(refund.id))]

    assert (await job_of(pool, refund)).state == "ready"
    assert await reconcile(pool, refund_checks(limit=NOW)) == []
    [row] = await discrepancies(pool)
    assert (row["repairs"], row["key"]) == (1, str(refund.request.order_id))


async def test_a_refund_that_is_being_made_or_waits_for_an_operator_is_no_finding(pool: Pool) -> None:
    running = await open_refund(pool)
    await claim_job(pool, running)
    dead = await open_refund(pool)
    await pool.execute("UPDATE jobs SET state = 'dead' WHERE business_key = $1", dead.reference)
    assert await reconcile(pool, refund_checks(limit=NOW)) == []


async def pay_back(pool: Pool, gateway: FakePaymentGateway) -> GatewayRefund:
    """A refund that the gateway has made, and the book has."""
    request = a_request()
    refund = Refund(request.refund_id, request, created_at=datetime.now(UTC))
    made = await gateway.refund(RefundCall.of(refund))
    async with transaction(pool) as connection:
        await booking.record_requested(connection, [(request, EVENT)])
        await booking.reserve_refund(connection, refund, EVENT)
        await booking.book_refund(connection, replace(refund, transaction_id=made.id), EVENT)
    return made


def ledger(gateway: FakePaymentGateway) -> Ledger:
    return Ledger(gateway, settled=NOW, interval=NOW)


async def test_a_ledger_that_agrees_with_the_book_is_no_finding(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    await pay_back(pool, gateway)
    await pay_back(pool, gateway)
    check = ledger(gateway)
    assert await reconcile(pool, [check]) == []
    assert await reconcile(pool, [check]) == []


async def test_a_refund_that_was_made_by_hand_and_is_not_booked_is_named_until_it_is(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    made = await pay_back(pool, gateway)
    by_hand = replace(made, id="re_by_hand", reference=None)
    gateway.make_by_hand(by_hand)
    check = ledger(gateway)

    assert await reconcile(pool, [check]) == [("ledger_differs", "re_by_hand")]
    assert await reconcile(pool, [check]) == [("ledger_differs", "re_by_hand")]

    async with transaction(pool) as connection:
        await booking.book_foreign_refund(connection, by_hand, EVENT)
    assert await reconcile(pool, [check]) == []


async def test_a_booked_refund_that_the_gateway_does_not_have_is_named(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    made = await pay_back(pool, gateway)
    await pay_back(pool, gateway)

    check = ledger(FakePaymentGateway())
    assert ("ledger_differs", made.id) in await reconcile(pool, [check])
    assert len(await reconcile(pool, [check])) == 2


async def test_a_refund_that_failed_later_at_the_gateway_is_named(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    made = await pay_back(pool, gateway)
    gateway.make_by_hand(replace(made, status=GatewayRefundStatus.FAILED))
    assert await reconcile(pool, [ledger(gateway)]) == [("ledger_differs", made.id)]


async def test_a_refund_that_was_made_by_hand_is_handed_over_like_a_webhook(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    made = await pay_back(pool, gateway)
    gateway.make_by_hand(replace(made, id="re_by_hand", reference=None))

    await reconcile(pool, [ledger(gateway)])

    assert await pool.fetchval("SELECT event_id FROM provider_events") == "ledger:re_by_hand:SUCCEEDED"
    [row] = await discrepancies(pool)
    assert (row["repairs"], row["repair_error"]) == (1, None)
    async with transaction(pool) as connection:
        await provider_events.apply(connection, gateway.name, "ledger:re_by_hand:SUCCEEDED", EVENT)
    assert await reconcile(pool, [ledger(gateway)]) == []


async def test_a_refund_whose_outcome_stays_unknown_and_one_that_stays_pending_are_named(pool: Pool) -> None:
    unknown, pending, recent = [await open_refund(pool) for _ in range(3)]
    set_state = "UPDATE refunds SET status = $2, called_at = now() - $3::interval WHERE id = $1"
    await pool.execute(set_state, unknown.id, "UNKNOWN", timedelta(hours=3))
    await pool.execute(set_state, pending.id, "PENDING", timedelta(days=8))
    await pool.execute(set_state, recent.id, "UNKNOWN", timedelta(minutes=3))
    expected = [("refund_pending", str(pending.id)), ("refund_unknown", str(unknown.id))]
    assert await reconcile(pool, refund_checks()) == expected
