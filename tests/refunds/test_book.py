"""The book of payments: the database itself refuses what is unbalanced, overdrawn or changed afterwards."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from common.database.transactions import Pool
from refunds.domain.book import Account
from support.postgres.databases import Database

BALANCES = ("captured", *(str(each) for each in Account if each is not Account.PAYMENT), "excess")


async def a_payment(pool: Pool, amount: str = "100", order_id: UUID | None = None) -> int:
    """A captured payment, written by plain SQL; returns its id."""
    payment_id: int = await pool.fetchval(
        "INSERT INTO book_payments (order_id, kind, reference, currency, order_number)"
        " VALUES ($1, 'CAPTURE', 'pi_1', 'EUR', 'ORD-1')"
        " RETURNING id",
        order_id or uuid4(),
    )
    await post(pool, payment_id, "CAPTURE", "payment", "refundable", amount)
    return payment_id


async def post(
    pool: Pool, payment_id: int, kind: str, source: str, target: str, amount: str, subject: str | None = None
) -> None:
    await pool.execute(
        "INSERT INTO postings (payment_id, subject, number, kind, source, target, amount, actor, created_at)"
        " VALUES ($1, $2, 1, $3, $4, $5, $6, 'a test', now())",
        payment_id,
        subject or str(uuid4()),
        kind,
        source,
        target,
        Decimal(amount),
    )


async def balances(pool: Pool, payment_id: int) -> dict[str, Any]:
    """Those that are not zero."""
    row = await pool.fetchrow("SELECT * FROM book_payments WHERE id = $1", payment_id)
    assert row is not None
    return {name: row[name] for name in BALANCES if row[name] != 0}


async def test_a_posting_changes_both_of_its_accounts(pool: Pool) -> None:
    payment_id = await a_payment(pool)
    await post(pool, payment_id, "REFUND_RESERVED", "refundable", "in_flight", "70")
    await post(pool, payment_id, "REFUND_PAID", "in_flight", "paid_back", "70")
    assert await balances(pool, payment_id) == {"captured": 100, "refundable": 30, "paid_back": 70}


@pytest.mark.parametrize(
    ("kind", "source", "target", "amount"),
    [
        ("REFUND_RESERVED", "refundable", "in_flight", "100.0001"),
        ("SETTLED_BY_HAND", "refundable", "settled", "101"),
        ("REFUND_RELEASED", "in_flight", "refundable", "0.01"),
        ("REFUND_PAID", "in_flight", "paid_back", "1"),
        ("REFUND_REVERSED", "paid_back", "refundable", "1"),
        ("DISPUTE_WON", "disputed", "refundable", "1"),
    ],
)
async def test_an_account_cannot_give_more_than_it_has(
    pool: Pool, kind: str, source: str, target: str, amount: str
) -> None:
    payment_id = await a_payment(pool)
    with pytest.raises(asyncpg.CheckViolationError, match="ck_book_payments_not_overdrawn"):
        await post(pool, payment_id, kind, source, target, amount)
    assert await balances(pool, payment_id) == {"captured": 100, "refundable": 100}


async def test_an_unbalanced_posting_cannot_be_written(pool: Pool) -> None:
    payment_id = await a_payment(pool)
    for source, target, amount in (
        ("refundable", "refundable", "1"),
        ("refundable", "nowhere", "1"),
        ("in_flight", "payment", "1"),
        ("refundable", "in_flight", "0"),
        ("refundable", "in_flight", "-1"),
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await post(pool, payment_id, "REFUND_RESERVED", source, target, amount)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await post(pool, payment_id + 1, "CAPTURE", "payment", "refundable", "1")
    assert await balances(pool, payment_id) == {"captured": 100, "refundable": 100}


async def test_what_the_provider_did_is_booked_in_full_and_then_nothing_can_be_reserved(pool: Pool) -> None:
    payment_id = await a_payment(pool)
    await post(pool, payment_id, "REFUND_RESERVED", "refundable", "in_flight", "100")
    await post(pool, payment_id, "FOREIGN_REFUND", "refundable", "paid_elsewhere", "30")
    assert (await balances(pool, payment_id))["excess"] == 30
    with pytest.raises(asyncpg.CheckViolationError):
        await post(pool, payment_id, "REFUND_RESERVED", "refundable", "in_flight", "1")

    await post(pool, payment_id, "REFUND_RELEASED", "in_flight", "refundable", "100")
    assert await balances(pool, payment_id) == {"captured": 100, "refundable": 70, "paid_elsewhere": 30}
    with pytest.raises(asyncpg.CheckViolationError):
        await post(pool, payment_id, "REFUND_RESERVED", "refundable", "in_flight", "70.01")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE postings SET amount = 1",
        "DELETE FROM postings",
        "TRUNCATE postings",
        "DELETE FROM book_payments",
        "TRUNCATE book_payments CASCADE",
        "UPDATE book_payments SET refundable = 1000, captured = 1000",
        "UPDATE book_payments SET currency = 'USD'",
        "UPDATE book_payments SET excess = 1000",
        "INSERT INTO book_payments (order_id, kind, reference, currency, order_number, captured, refundable)"
        " VALUES (gen_random_uuid(), 'CAPTURE', 'pi_2', 'EUR', 'ORD-1', 5, 5)",
    ],
)
@pytest.mark.parametrize("login", ["the application", "the owner"])
async def test_neither_postings_nor_balances_can_be_changed(
    database: Database, pool: Pool, statement: str, login: str
) -> None:
    payment_id = await a_payment(pool)
    connection = await asyncpg.connect(database.dsn if login == "the application" else database.owner_dsn)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()
    assert await balances(pool, payment_id) == {"captured": 100, "refundable": 100}


async def test_an_order_has_one_captured_payment(pool: Pool) -> None:
    order_id = uuid4()
    await a_payment(pool, order_id=order_id)
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(
            "INSERT INTO book_payments (order_id, kind, reference, currency, order_number)"
            " VALUES ($1, 'CAPTURE', 'pi_2', 'EUR', 'ORD-1')",
            order_id,
        )
