"""The refunds of a version without a book are booked by the migration, and again by nothing."""

from decimal import Decimal
from importlib import import_module
from typing import Any
from uuid import UUID, uuid4

from common.database.statements import prepare
from common.database.transactions import Pool
from refunds.use_cases.trial_balance import get_trial_balance

MIGRATION: Any = import_module("refunds.migrations.versions.0004_book_online")
PAYMENTS, POSTINGS = prepare(MIGRATION.PAYMENTS), prepare(MIGRATION.POSTINGS)
_NEW = """
    INSERT INTO refunds (
        id, business_key, cause, order_id, order_number, return_id, amount, currency, payment_reference, status,
        transaction_id, attempts, key_epoch, key_spent, created_at, completed_at, audit_position, audit_hash
    )
    VALUES ($1, $2, $3, $4, 'ORD-1', $5, $6, $7, $8, $9, $10, 1, 0, false, now(),
        CASE WHEN $10::text IS NOT NULL THEN now() END, 1, '')
"""


async def an_old_refund(
    pool: Pool, cause: str, amount: str, reference: str, order_id: UUID, *, made: bool, currency: str = "EUR"
) -> None:
    refund_id = uuid4()
    await pool.execute(
        _NEW,
        refund_id,
        str(refund_id),
        cause,
        order_id,
        uuid4() if cause == "RETURN_COMPLETED" else None,
        Decimal(amount),
        currency,
        reference,
        "SUCCEEDED" if made else "FAILED",
        f"re_{refund_id}" if made else None,
    )


async def test_existing_refunds_are_booked_once_with_their_payments(pool: Pool) -> None:
    returned, cancelled = uuid4(), uuid4()
    await an_old_refund(pool, "RETURN_COMPLETED", "79.06", f"order-{returned}", returned, made=True)
    await an_old_refund(pool, "SURPLUS_PAYMENT", "5", "pi_2", returned, made=False)
    await an_old_refund(pool, "ORDER_CANCELLED", "300", "pi_3", cancelled, made=True, currency="JPY")
    await pool.execute("INSERT INTO identified_payments VALUES ($1, $2, 'pi_1')", returned, f"order-{returned}")

    async with pool.acquire() as connection:
        newest = await connection.fetchval("SELECT id FROM refunds ORDER BY id DESC LIMIT 1")
        for _ in range(2):
            await PAYMENTS.execute(connection, after=UUID(int=0))
            assert await POSTINGS.fetch_value(connection, after=UUID(int=0)) == str(newest)
        assert await POSTINGS.fetch_value(connection, after=newest) is None
        assert (await get_trial_balance(connection)).is_zero
        rows = await connection.fetch("SELECT * FROM book_payments ORDER BY reference")
    assert [
        (row["kind"], row["reference"], row["captured"], row["refundable"], row["paid_back"], row["currency"])
        for row in rows
    ] == [
        ("CAPTURE", "pi_1", Decimal("79.06"), 0, Decimal("79.06"), "EUR"),
        ("SURPLUS_PAYMENT", "pi_2", 5, 5, 0, "EUR"),
        ("CAPTURE", "pi_3", 300, 0, 300, "JPY"),
    ]
    assert rows[0]["first_reference"] == f"order-{returned}"
