"""The ledger of the payment gateway is compared with the book, in both directions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from common.database.transactions import Pool, transaction
from refunds import ledger_check
from refunds.domain.refund import Refund
from refunds.ledger_check import WINDOW, Ledger
from refunds.payment_gateway.port import (
    GatewayRefund,
    GatewayRefundStatus,
    RefundCall,
)
from refunds.use_cases import booking, provider_events, settlement
from support.example.refunds import EVENT, a_request, open_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.provider_events import applied, at_provider, balances
from support.postgres.databases import Database
from support.reconciliation.rounds import discrepancies, reconcile
from support.waiting import eventually

NOW = timedelta(0)


async def pay_back(pool: Pool, gateway: FakePaymentGateway) -> GatewayRefund:
    """Make a refund at the gateway, and book it."""
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
    [row] = await discrepancies(pool)
    assert (row["repairs"], row["repair_error"]) == (1, None)


async def test_a_difference_stays_open_when_another_process_compares(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    made = await pay_back(pool, gateway)
    by_hand = replace(made, id="re_by_hand", reference=None)
    gateway.make_by_hand(by_hand)
    assert await reconcile(pool, [ledger(gateway)]) == [("ledger_differs", "re_by_hand")]

    # By now it is older than what a new process looks at.
    gateway.make_by_hand(replace(by_hand, created_at=datetime.now(UTC) - 2 * WINDOW))
    assert await reconcile(pool, [ledger(gateway)]) == [("ledger_differs", "re_by_hand")]


async def test_the_gateway_is_not_asked_about_each_refund_that_was_booked_before_the_first_comparison(
    pool: Pool, database: Database
) -> None:
    class CountingGateway(FakePaymentGateway):
        questions = 0

        async def refunds_of(self, payment_reference: str) -> list[GatewayRefund]:
            self.questions += 1
            return await super().refunds_of(payment_reference)

    gateway = CountingGateway()
    made = await pay_back(pool, gateway)
    gateway.make_by_hand(replace(made, created_at=datetime.now(UTC) - 2 * WINDOW))
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute(
            """
            ALTER TABLE postings DISABLE TRIGGER USER;
            UPDATE postings SET created_at = created_at - interval '2 days';
            ALTER TABLE postings ENABLE TRIGGER USER;
            """
        )
    finally:
        await owner.close()
    assert await reconcile(pool, [ledger(gateway)]) == []
    assert gateway.questions == 0


async def test_all_that_was_booked_since_the_last_comparison_is_compared(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_check, "ENTRIES_AT_ONCE", 2)
    gateway = FakePaymentGateway()
    made = [await pay_back(pool, gateway) for _ in range(5)]
    found = await reconcile(pool, [ledger(FakePaymentGateway())])
    assert {subject for _, subject in found} == {each.id for each in made}


async def test_a_pending_refund_that_has_succeeded_just_now_is_no_finding(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    made = await pay_back(pool, gateway)
    gateway.make_by_hand(replace(made, id="re_pending", created_at=datetime.now(UTC) - timedelta(hours=1)))
    assert await reconcile(pool, [Ledger(gateway)]) == []

    check = Ledger(gateway, settled=timedelta(seconds=0.1), interval=NOW)
    assert await reconcile(pool, [check]) == []
    assert await eventually(lambda: reconcile(pool, [check])) == [("ledger_differs", "re_pending")]


async def test_a_refund_that_was_made_by_hand_is_handed_over_like_a_webhook(pool: Pool) -> None:
    gateway = FakePaymentGateway()
    made = await pay_back(pool, gateway)
    gateway.make_by_hand(replace(made, id="re_by_hand", reference=None))

    await reconcile(pool, [ledger(gateway)])

    assert await pool.fetchval("SELECT event_id FROM provider_events") == "ledger:re_by_hand:SUCCEEDED"
    [row] = await discrepancies(pool)
    assert (row["repairs"], row["repair_error"]) == (1, None)
    async with transaction(pool) as connection:
        payload = {"provider": gateway.name, "event_id": "ledger:re_by_hand:SUCCEEDED"}
        await provider_events.apply(connection, payload, EVENT)
    assert await reconcile(pool, [ledger(gateway)]) == []


async def declined(pool: Pool) -> Refund:
    refund = await open_refund(pool)
    await pool.execute("UPDATE refunds SET status = 'DECLINED', error = 'the account is closed', attempts = 1")
    return refund


async def settled(pool: Pool, refund: Refund, reference: str) -> None:
    async with transaction(pool) as connection:
        await settlement.settle_refund(connection, refund.id, reference, "paid by hand", EVENT)


async def test_a_refund_made_by_hand_whose_id_has_settled_ours_before_its_event_came_is_no_finding(pool: Pool) -> None:
    refund, gateway = await declined(pool), FakePaymentGateway()
    by_hand = at_provider(refund, id="re_by_hand", reference=None)
    gateway.make_by_hand(by_hand)
    check = ledger(gateway)
    assert await reconcile(pool, [check]) == [("ledger_differs", "re_by_hand")]

    await settled(pool, refund, "re_by_hand")
    await applied(pool, by_hand)
    assert await balances(pool, refund) == {"settled": refund.request.amount}
    assert await reconcile(pool, [check]) == []
    assert await reconcile(pool, [ledger(gateway)]) == []


async def test_a_refund_made_by_hand_of_another_amount_than_the_one_it_has_settled_is_named(pool: Pool) -> None:
    refund, gateway = await declined(pool), FakePaymentGateway()
    gateway.make_by_hand(at_provider(refund, id="re_by_hand", reference=None, amount=Decimal("10.00")))
    await settled(pool, refund, "re_by_hand")
    assert await reconcile(pool, [ledger(gateway)]) == [("ledger_differs", "re_by_hand")]


async def test_what_was_settled_by_a_bank_transfer_is_not_looked_for_at_the_gateway(pool: Pool) -> None:
    refund, check = await declined(pool), ledger(FakePaymentGateway())
    await pay_back(pool, FakePaymentGateway())
    await reconcile(pool, [check])
    # It is asked about, as it has the name of an open discrepancy.
    await pool.execute("UPDATE discrepancies SET subject = 'transfer 7'")
    await settled(pool, refund, "transfer 7")
    assert ("ledger_differs", "transfer 7") not in await reconcile(pool, [check])
