"""The trial balance of the book: a route for staff, a command for operators, and a metric."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
import pytest_asyncio
from common.access.auth import Role
from common.database.transactions import Pool, transaction
from common.reconciliation.check import MOST_FINDINGS
from common.running.command_line import execute
from refunds.app import SERVICE
from refunds.book_check import Book
from refunds.domain.refund import Refund
from refunds.payment_gateway.port import GatewayRefund, GatewayRefundStatus
from refunds.use_cases import booking
from support.example.ada import TOTAL
from support.example.refunds import EVENT, a_refund
from support.gateway.application import Gateway, exact_json, serve
from support.logs import logging_restored
from support.metrics.moved import moves
from support.postgres.databases import Database
from support.reconciliation.rounds import discrepancies, reconcile


@pytest_asyncio.fixture
async def gateway(database: Database) -> AsyncIterator[Gateway]:
    async with serve(SERVICE, database) as running:
        yield running


async def a_paid_and_a_reserved_refund(gateway: Gateway) -> tuple[Refund, Refund]:
    paid, reserved = a_refund(), a_refund(amount=Decimal(300), currency="JPY")
    async with transaction(gateway.pool) as connection:
        for refund in (paid, reserved):
            await booking.reserve_refund(connection, refund, EVENT)
        await booking.book_refund(connection, replace(paid, transaction_id="re_1"), EVENT)
    return paid, reserved


async def test_the_accounts_of_each_currency_add_up_to_zero(gateway: Gateway) -> None:
    await a_paid_and_a_reserved_refund(gateway)
    book = exact_json(await gateway.get("/refunds/book", key=Role.WAREHOUSE))

    accounts = {(each["currency"], each["account"]): each["balance"] for each in book["accounts"] if each["balance"]}
    assert accounts == {
        ("EUR", "payment"): -Decimal(TOTAL),
        ("EUR", "paid_back"): Decimal(TOTAL),
        ("JPY", "payment"): -300,
        ("JPY", "in_flight"): 300,
    }
    assert (book["is_zero"], book["payments"], book["payments_in_excess"], book["disagreements"]) == (True, [], 0, 0)
    refundable = next(each for each in book["accounts"] if (each["currency"], each["account"]) == ("EUR", "refundable"))
    assert (refundable["debits"], refundable["credits"]) == (Decimal(TOTAL), Decimal(TOTAL))


async def test_the_payments_of_one_order_are_shown_with_their_entries(gateway: Gateway) -> None:
    paid, _ = await a_paid_and_a_reserved_refund(gateway)
    book = exact_json(await gateway.get(f"/refunds/book?order_id={paid.request.order_id}"))

    assert {each["currency"] for each in book["accounts"]} == {"EUR"}
    (payment,) = book["payments"]
    assert (payment["kind"], payment["captured"], payment["paid_back"]) == ("CAPTURE", Decimal(TOTAL), Decimal(TOTAL))
    assert [(each["kind"], each["source"], each["target"]) for each in payment["entries"]] == [
        ("CAPTURE", "payment", "refundable"),
        ("REFUND_RESERVED", "refundable", "in_flight"),
        ("REFUND_PAID", "in_flight", "paid_back"),
    ]
    assert payment["entries"][-1]["transaction_id"] == "re_1"


async def test_clients_cannot_read_the_book(gateway: Gateway) -> None:
    assert (await gateway.get("/refunds/book", key=Role.CLIENT)).status_code == 403


@moves("book_trial_balance_difference")
async def test_the_command_fails_when_postings_and_balances_differ(
    gateway: Gateway, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.dsn)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9")
    await a_paid_and_a_reserved_refund(gateway)

    async def trial_balance() -> tuple[int, dict[str, object]]:
        with logging_restored():
            code = await asyncio.to_thread(execute, SERVICE, ["trial-balance", "--format", "json"])
        return code, json.loads(capsys.readouterr().out)

    code, result = await trial_balance()
    assert (code, result["is_zero"]) == (0, True)

    # What only the owner of the tables can do, or a fault of the disk.
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("ALTER TABLE postings DISABLE TRIGGER apply_posting")
    await owner.execute(
        "INSERT INTO postings (payment_id, subject, number, kind, source, target, amount, actor, created_at)"
        " SELECT min(payment_id), 'x', 1, 'REFUND_RESERVED', 'refundable', 'in_flight', 0.001, 'x', now() FROM postings"
    )
    await owner.close()
    code, result = await trial_balance()
    assert (code, result["is_zero"]) == (1, False)


@moves("book_payments_in_excess")
async def test_a_payment_that_was_paid_back_twice_by_hand_is_counted(gateway: Gateway) -> None:
    """Nobody can prevent it: it happens in the provider's dashboard."""
    refund = a_refund()
    reference = refund.request.payment_reference
    by_hand = GatewayRefund(
        "re_1", GatewayRefundStatus.SUCCEEDED, None, reference, Decimal(TOTAL), "EUR", None, datetime.now(UTC)
    )
    async with transaction(gateway.pool) as connection:
        await booking.reserve_refund(connection, refund, EVENT)
        await booking.book_refund(connection, replace(refund, transaction_id="re_0"), EVENT)
        await booking.book_foreign_refund(connection, by_hand, EVENT)

    book = exact_json(await gateway.get("/refunds/book", key=Role.WAREHOUSE))

    assert (book["is_zero"], book["payments_in_excess"]) == (True, 1)


@moves("book_disagreements")
async def test_the_reconciler_names_what_is_wrong_in_the_book(pool: Pool) -> None:
    check = Book(interval=timedelta(0))
    refund = a_refund(amount=Decimal(100))
    reference = refund.request.payment_reference
    async with transaction(pool) as connection:
        await booking.reserve_refund(connection, refund, EVENT)
    assert await reconcile(pool, [check]) == []

    by_hand = GatewayRefund(
        "re_hand", GatewayRefundStatus.SUCCEEDED, None, reference, Decimal(30), "EUR", None, datetime.now(UTC)
    )
    async with transaction(pool) as connection:
        await booking.book_foreign_refund(connection, by_hand, EVENT)
        await booking.book_foreign_refund(connection, replace(by_hand, payment_reference="pi_unknown"), EVENT)
    assert [name for name, _ in await reconcile(pool, [check])] == ["book_disagrees"] * 2
    rows = {row["details"]["reference"]: row["details"] for row in await discrepancies(pool)}
    assert rows[reference]["reported"] == "30 EUR"
    assert rows["pi_unknown"]["problem"] == "FOREIGN_REFUND"


async def test_a_new_excess_is_found_beside_five_hundred_acknowledged_ones(pool: Pool, database: Database) -> None:
    check = Book(interval=timedelta(0))
    await pay_back_in_excess(database, range(1, MOST_FINDINGS + 1))
    assert len(await reconcile(pool, [check])) == MOST_FINDINGS
    await pool.execute("UPDATE discrepancies SET acknowledged_at = now()")

    await pay_back_in_excess(database, [999])  # the last one, by its subject
    await reconcile(pool, [check])
    found = [(row["subject"], row["acknowledged_at"]) for row in await discrepancies(pool) if not row["resolved_at"]]
    assert len(found) == MOST_FINDINGS + 1
    assert [subject for subject, acknowledged_at in found if acknowledged_at is None] == ["payment 999"]


async def pay_back_in_excess(database: Database, ids: Sequence[int]) -> None:
    """Payments of nothing, of which the provider has paid back one euro."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("ALTER TABLE book_payments DISABLE TRIGGER balances_begin_at_zero")
    await owner.execute(
        """
        INSERT INTO book_payments (id, order_id, kind, reference, currency, order_number, excess)
        OVERRIDING SYSTEM VALUE
        SELECT id, gen_random_uuid(), 'CAPTURE', id::text, 'EUR', 'ORD-2026-000042', 1
        FROM unnest($1::bigint[]) AS id
        """,
        list(ids),
    )
    await owner.execute("ALTER TABLE book_payments ENABLE TRIGGER balances_begin_at_zero")
    await owner.close()
