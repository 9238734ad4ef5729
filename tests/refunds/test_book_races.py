"""Cancel, return, replay, operator and provider racing for one payment on real connections: never above the ceiling."""

import asyncio
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from random import Random
from uuid import uuid4

from common.database.transactions import Pool, open_pool, transaction
from refunds.domain.book import Overdrawn
from refunds.domain.refund import Refund
from refunds.domain.request import Cause, cancellation_key
from refunds.use_cases import booking
from support.example.refunds import EVENT, a_refund
from support.postgres.book import balances_of
from support.postgres.databases import Database

ROUNDS = 100
CEILING = Decimal(100)


def refunds_of_one_payment(random: Random) -> list[Refund]:
    """The whole payment by a return and by a cancellation, and parts of it by operators."""
    order_id, reference = uuid4(), f"pi_{uuid4().hex}"
    same = {"order_id": order_id, "payment_reference": reference}
    returned = a_refund(**same, amount=CEILING)
    cancelled = a_refund(
        **same,
        amount=CEILING,
        cause=Cause.ORDER_CANCELLED,
        return_id=None,
        business_key=cancellation_key(order_id),
    )
    parts = [
        replace(cancelled, request=replace(cancelled.request, business_key=key, amount=Decimal(random.randint(1, 100))))
        for key in ("operator:1", "operator:2", "operator:3")
    ]
    return [returned, cancelled, *(replace(each, id=uuid4()) for each in parts)]


async def race(pool: Pool, refunds: list[Refund], random: Random) -> Counter[str]:
    """Each refund is requested twice at once, as by a job and its replay, and again after each decline; returns how the
    attempts ended."""
    ends: Counter[str] = Counter()

    async def step(refund: Refund, *, reserves: bool, result: str = "") -> None:
        async with transaction(pool) as connection:
            # As the lock of the refund's row: of one refund there is one transition at a time.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", str(refund.id))
            if reserves:
                await booking.reserve_refund(connection, refund, EVENT)
            elif result == "paid":
                await booking.book_refund(connection, replace(refund, transaction_id=f"re_{refund.id.hex}"), EVENT)
            elif result == "declined":
                await booking.release_refund(connection, refund, EVENT)

    async def refund_it(refund: Refund) -> None:
        for result in random.choices(["declined", "paid", "no answer"], k=3):
            try:
                await asyncio.gather(step(refund, reserves=True), step(refund, reserves=True))
            except Overdrawn:
                ends["overdrawn"] += 1
                continue
            await asyncio.gather(*(step(refund, reserves=False, result=result) for _ in range(2)))
            ends[result] += 1
            if result == "paid":
                return

    await asyncio.gather(*(refund_it(refund) for refund in random.sample(refunds, len(refunds))))
    return ends


async def test_refunds_that_race_for_one_payment_never_exceed_what_was_captured(database: Database) -> None:
    pool = await open_pool(database.dsn, size=16, application_name="test")
    random = Random(14)  # noqa: S311
    ends: Counter[str] = Counter()
    most = Decimal(0)
    for _ in range(ROUNDS):
        refunds = refunds_of_one_payment(random)
        async with transaction(pool) as connection:
            await booking.record_requested(connection, [(refunds[0].request, EVENT)])
        ends += await race(pool, refunds, random)
        async with pool.acquire() as connection:
            balances = await balances_of(connection, refunds[0])
        gone = balances.get("in_flight", Decimal(0)) + balances.get("paid_back", Decimal(0))
        assert gone + balances.get("refundable", Decimal(0)) == CEILING
        assert "excess" not in balances
        most = max(most, gone)
    assert most == CEILING
    assert min(ends[each] for each in ("overdrawn", "paid", "declined", "no answer")) > ROUNDS / 4, ends
    await pool.close()
