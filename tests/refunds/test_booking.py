"""Entries of the book: idempotent, in any order, and never more than was captured, whoever books at the same time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest
from common.audit.actor import Actor
from common.database.statements import Connection
from common.database.transactions import Pool, open_pool, transaction
from refunds.domain.book import Capture, EntryKind, Overdrawn
from refunds.domain.refund import Refund
from refunds.domain.request import Cause
from refunds.payment_gateway.port import DisputeStatus, GatewayRefund, GatewayRefundStatus, PaymentDisputed
from refunds.use_cases import booking
from refunds.use_cases.settlement import book_settlement
from support.example.ada import TOTAL
from support.example.refunds import EVENT, NOW, a_refund
from support.postgres.book import balances_of, disagreements
from support.postgres.databases import Database


@asynccontextmanager
async def booked(pool: Pool, refund: Refund) -> AsyncIterator[Connection]:
    """A transaction in which the payment of the refund is in the book."""
    async with transaction(pool) as connection:
        await booking.record_requested(connection, [(refund.request, EVENT)])
        yield connection


def paid(refund: Refund, transaction_id: str = "re_1") -> Refund:
    return replace(refund, transaction_id=transaction_id)


def by_hand(refund: Refund, amount: str, transaction_id: str = "re_hand") -> GatewayRefund:
    """Made in the provider's dashboard."""
    return GatewayRefund(
        id=transaction_id,
        status=GatewayRefundStatus.SUCCEEDED,
        reference=None,
        payment_reference=refund.request.payment_reference,
        amount=Decimal(amount),
        currency="EUR",
        reason=None,
        created_at=NOW,
    )


def disputed(refund: Refund, status: DisputeStatus, amount: str = TOTAL) -> PaymentDisputed:
    return PaymentDisputed("dp_1", refund.request.payment_reference, Decimal(amount), "EUR", status, None)


async def test_a_refund_moves_from_refundable_to_paid_back_and_each_step_is_booked_once(pool: Pool) -> None:
    refund = a_refund(amount=Decimal(100))
    async with booked(pool, refund) as connection:
        for _ in range(2):
            await booking.reserve_refund(connection, refund, EVENT)
        assert await balances_of(connection, refund) == {"captured": 100, "in_flight": 100}
        for _ in range(2):
            await booking.book_refund(connection, paid(refund), EVENT)
        assert await balances_of(connection, refund) == {"captured": 100, "paid_back": 100}
        for _ in range(2):
            await booking.book_reversal(connection, paid(refund), EVENT)
        assert await balances_of(connection, refund) == {"captured": 100, "refundable": 100}
        await booking.reserve_refund(connection, refund, EVENT)
        for _ in range(2):
            await booking.release_refund(connection, refund, EVENT)
        assert await balances_of(connection, refund) == {"captured": 100, "refundable": 100}
        await booking.reserve_refund(connection, refund, EVENT)
        for _ in range(2):
            await book_settlement(connection, paid(refund, "bank transfer 7"), EVENT)
        assert await balances_of(connection, refund) == {"captured": 100, "settled": 100}
        assert await connection.fetchval("SELECT count(*) FROM postings") == 8


async def test_a_refund_that_is_too_large_is_refused_and_the_transaction_goes_on(pool: Pool) -> None:
    refund = a_refund(amount=Decimal(100))
    other = a_refund(
        cause=Cause.LATE_PAYMENT,
        return_id=None,
        business_key="other",
        order_id=refund.request.order_id,
        payment_reference=refund.request.payment_reference,
        amount=Decimal("0.01"),
    )
    async with booked(pool, refund) as connection:
        await booking.reserve_refund(connection, refund, EVENT)
        with pytest.raises(Overdrawn) as refused:
            await booking.reserve_refund(connection, other, EVENT)
        assert refused.value.refundable == 0
        assert await balances_of(connection, refund) == {"captured": 100, "in_flight": 100}


async def test_a_refund_of_a_payment_that_is_not_in_the_book_brings_it_in(pool: Pool) -> None:
    reserved, made = a_refund(), a_refund()
    async with transaction(pool) as connection:
        await booking.reserve_refund(connection, reserved, EVENT)
        await booking.book_refund(connection, paid(made), EVENT)
        assert await balances_of(connection, reserved) == {"captured": Decimal(TOTAL), "in_flight": Decimal(TOTAL)}
        assert await balances_of(connection, made) == {"captured": Decimal(TOTAL), "paid_back": Decimal(TOTAL)}


@pytest.mark.parametrize("first", ["the hand", "the result"])
async def test_a_refund_made_by_hand_that_settles_ours_is_booked_once(pool: Pool, first: str) -> None:
    refund = a_refund(amount=Decimal(100))
    async with booked(pool, refund) as connection:
        await booking.reserve_refund(connection, refund, EVENT)
        for _ in range(2):
            if first == "the hand":
                assert await booking.book_foreign_refund(connection, by_hand(refund, "100"), EVENT)
            await booking.book_refund(connection, paid(refund, "re_hand"), EVENT)
            assert await booking.book_foreign_refund(connection, by_hand(refund, "100"), EVENT)
        place = "paid_elsewhere" if first == "the hand" else "paid_back"
        assert await balances_of(connection, refund) == {"captured": 100, place: 100}
        await booking.book_reversal(connection, paid(refund, "re_hand"), EVENT)
        assert await balances_of(connection, refund) == {"captured": 100, "refundable": 100}


async def test_a_part_refunded_by_hand_leaves_the_rest_to_refund(pool: Pool) -> None:
    refund = a_refund(amount=Decimal(100))
    async with booked(pool, refund) as connection:
        await booking.book_foreign_refund(connection, by_hand(refund, "30"), EVENT)
        with pytest.raises(Overdrawn, match=r"100 EUR cannot be refunded: 70\S* EUR of the payment are left"):
            await booking.reserve_refund(connection, refund, EVENT)
        await booking.book_foreign_reversal(connection, by_hand(refund, "30"), EVENT)
        await booking.reserve_refund(connection, refund, EVENT)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([DisputeStatus.OPENED], "disputed"),
        ([DisputeStatus.OPENED, DisputeStatus.OPENED], "disputed"),
        ([DisputeStatus.OPENED, DisputeStatus.WON], "refundable"),
        ([DisputeStatus.WON, DisputeStatus.OPENED], "refundable"),
        ([DisputeStatus.LOST], "lost"),
        ([DisputeStatus.LOST, DisputeStatus.OPENED, DisputeStatus.LOST], "lost"),
        ([DisputeStatus.OPENED, DisputeStatus.LOST, DisputeStatus.WON], "refundable"),
    ],
)
async def test_a_dispute_holds_the_money_until_it_is_decided(
    pool: Pool, statuses: list[DisputeStatus], expected: str
) -> None:
    refund = a_refund(amount=Decimal(100))
    async with booked(pool, refund) as connection:
        for status in statuses:
            assert await booking.book_dispute(connection, disputed(refund, status, "100"), EVENT)
        assert await balances_of(connection, refund) == {"captured": 100, expected: 100}
        if expected != "refundable":
            with pytest.raises(Overdrawn):
                await booking.reserve_refund(connection, refund, EVENT)


async def test_what_is_reported_of_an_unknown_payment_or_in_another_currency_is_kept(pool: Pool) -> None:
    refund, unknown = a_refund(), a_refund()
    async with booked(pool, refund) as connection:
        for _ in range(2):
            assert not await booking.book_foreign_refund(connection, by_hand(unknown, "5"), EVENT)
            dollars = replace(by_hand(refund, "5"), currency="USD")
            assert not await booking.book_foreign_refund(connection, dollars, EVENT)
        assert await disagreements(connection) == [
            (unknown.request.payment_reference, "FOREIGN_REFUND", "no such payment", "foreign:re_hand: 5 EUR"),
            (refund.request.payment_reference, "FOREIGN_REFUND", "EUR", "foreign:re_hand: 5 USD"),
        ]


async def test_a_payment_is_captured_once_and_another_amount_is_kept_as_a_disagreement(pool: Pool) -> None:
    refund = a_refund(amount=Decimal(100))
    order_id, reference = refund.request.order_id, refund.request.payment_reference
    async with booked(pool, refund) as connection:
        for amount in ("100.00", "90", "90"):
            capture = Capture(order_id, EntryKind.CAPTURE, reference, Decimal(amount), "EUR", "ORD-1")
            await booking.record_captures(connection, [(capture, EVENT)])
        assert await balances_of(connection, refund) == {"captured": 100, "refundable": 100}
        assert await disagreements(connection) == [(reference, "CAPTURED_AMOUNT", "100 EUR", "90 EUR")]


@pytest.mark.parametrize("when", ["before the capture", "after it", "with the request"])
async def test_the_id_of_a_payment_names_the_same_payment(pool: Pool, when: str) -> None:
    refund = a_refund(amount=Decimal(100), payment_reference="pi_1")
    order_id = refund.request.order_id
    derived = f"order-{order_id}"
    capture = Capture(order_id, EntryKind.CAPTURE, derived, Decimal(100), "EUR", "ORD-1")

    async with transaction(pool) as connection:
        if when == "before the capture":
            await connection.execute("INSERT INTO identified_payments VALUES ($1, $2, 'pi_1')", order_id, derived)
        await booking.record_captures(connection, [(capture, EVENT)])
        if when == "after it":
            await booking.rename_payment(connection, order_id, derived, "pi_1")
        if when == "with the request":
            await booking.record_requested(connection, [(refund.request, EVENT)])
        await booking.record_captures(connection, [(capture, EVENT)])
        await booking.reserve_refund(connection, refund, EVENT)
        assert await booking.book_foreign_refund(connection, by_hand(refund, "1"), EVENT)
        assert await balances_of(connection, refund) == {
            "captured": 100,
            "in_flight": 100,
            "refundable": -1,
            "paid_elsewhere": 1,
            "excess": 1,
        }
        assert await connection.fetchval("SELECT first_reference FROM book_payments") == derived
        assert await disagreements(connection) == []


async def test_payments_of_a_batch_are_booked_by_one_statement_and_once_by_two_consumers(database: Database) -> None:
    pool = await open_pool(database.dsn, size=8, application_name="test")
    captures = [
        (Capture(uuid4(), EntryKind.CAPTURE, f"pi_{number}", Decimal(number + 1), "EUR", "ORD-1"), EVENT)
        for number in range(200)
    ]

    async def consume(batch: list[tuple[Capture, Actor]]) -> None:
        async with transaction(pool) as connection:
            await booking.record_captures(connection, batch)

    await asyncio.gather(*(consume(captures if number % 2 else captures[::-1]) for number in range(8)))
    sums = await pool.fetch("SELECT count(*), sum(captured), sum(refundable) FROM book_payments")
    assert [tuple(row) for row in sums] == [(200, 20100, 20100)]
    assert await pool.fetchval("SELECT count(*) FROM book_disagreements") == 0
    await pool.close()
