"""The closing of the book: the trial balance reads what was posted since, and agrees with all postings at any time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest
import pytest_asyncio
from common.database.transactions import Pool, transaction
from refunds.book_check import Book
from refunds.domain.refund import Refund
from refunds.repository import trial_balance
from refunds.use_cases import booking
from refunds.use_cases.trial_balance import BookAccount, get_trial_balance
from support.example.refunds import EVENT, a_refund
from support.postgres.databases import Database

ALWAYS = timedelta(0)


@pytest_asyncio.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()


async def reserve(pool: Pool, **changes: object) -> Refund:
    refund = a_refund(**changes)
    async with transaction(pool) as connection:
        await booking.reserve_refund(connection, refund, EVENT)
    return refund


async def pay(pool: Pool, refund: Refund) -> None:
    async with transaction(pool) as connection:
        await booking.book_refund(connection, replace(refund, transaction_id=f"re_{refund.id.hex}"), EVENT)


async def close(pool: Pool, check: Book) -> int:
    """Two rounds: the first remembers the last posting, the second knows that nothing before it is missing."""
    for _ in range(2):
        assert await check.find(pool) == []
    return await closed_position(pool)


async def closed_position(pool: Pool) -> int:
    positions = await pool.fetch("SELECT DISTINCT position FROM book_closing")
    assert len(positions) <= 1
    return positions[0]["position"] if positions else 0


def a_check() -> Book:
    """Which reads the whole book only at first."""
    return Book(interval=ALWAYS)


async def accounts(pool: Pool, *, reads_all: bool) -> set[BookAccount]:
    async with transaction(pool) as connection:
        balance = await get_trial_balance(connection, reads_all=reads_all)
    return set(balance.accounts)


async def assert_same(pool: Pool) -> None:
    since_closing = await accounts(pool, reads_all=False)
    assert since_closing == await accounts(pool, reads_all=True)
    assert since_closing


async def test_a_closed_book_has_the_sums_of_all_postings(pool: Pool) -> None:
    check = a_check()
    paid, reserved = await reserve(pool), await reserve(pool, amount=Decimal(300), currency="JPY")
    await pay(pool, paid)
    assert await close(pool, check) == 5
    await assert_same(pool)

    # Of a payment that the closing has, of a new one, and in a new currency.
    await pay(pool, reserved)
    await reserve(pool)
    await reserve(pool, amount=Decimal(1), currency="USD")
    await assert_same(pool)
    assert await close(pool, check) == 10
    await assert_same(pool)


async def test_only_what_was_posted_since_the_closing_is_read(pool: Pool) -> None:
    await reserve(pool)
    await close(pool, a_check())
    async with transaction(pool) as connection:
        await connection.execute("UPDATE book_closing SET debits = debits + 5 WHERE account = 'lost'")
    lost = {each.account: each for each in await accounts(pool, reads_all=False)}["lost"]
    assert (lost.debits, lost.balance) == (Decimal(5), Decimal(5)), "the closing counts"


async def test_a_posting_that_is_committed_after_a_later_one_is_never_left_out(pool: Pool) -> None:
    check = a_check()
    first, second = await reserve(pool), await reserve(pool)
    await check.find(pool)
    async with transaction(pool) as slow:
        await booking.book_refund(slow, replace(first, transaction_id="re_slow"), EVENT)
        await pay(pool, second)
        for _ in range(3):
            assert await check.find(pool) == []
        assert await closed_position(pool) < 5, "an earlier posting is not committed yet"
        await assert_same(pool)
    await assert_same(pool)
    assert await close(pool, check) == 6
    await assert_same(pool)


async def test_a_posting_of_the_latest_running_transaction_is_never_left_out(pool: Pool) -> None:
    check = a_check()
    first, second = await reserve(pool), await reserve(pool)
    await check.find(pool)
    async with transaction(pool) as slow:
        async with transaction(pool) as fast:
            await fast.fetchval("SELECT pg_current_xact_id()")  # before the slow one, which has the lower position
            await booking.book_refund(slow, replace(first, transaction_id="re_slow"), EVENT)
            await booking.book_refund(fast, replace(second, transaction_id="re_fast"), EVENT)
        for _ in range(3):
            assert await check.find(pool) == []
        assert await closed_position(pool) < 5
    await assert_same(pool)
    assert await close(pool, check) == 6
    await assert_same(pool)


async def test_the_trial_balance_is_zero_at_any_instant_while_refunds_are_booked_and_the_book_is_closed(
    pool: Pool,
) -> None:
    check, stopping = a_check(), asyncio.Event()

    async def book_refunds() -> None:
        for _ in range(25):
            await pay(pool, await reserve(pool))

    async def ask() -> int:
        asked = 0
        while not stopping.is_set():
            async with pool.acquire() as connection:
                balance = await get_trial_balance(connection)
            assert balance.is_zero, balance.differences
            asked += 1
        return asked

    async def close_often() -> None:
        while not stopping.is_set():
            assert await check.find(pool) == []

    asking, closing_often = asyncio.create_task(ask()), asyncio.create_task(close_often())
    await asyncio.gather(*(book_refunds() for _ in range(4)))
    stopping.set()
    assert await asking > 0
    await closing_often
    assert await closed_position(pool) > 0
    await assert_same(pool)


async def test_a_book_that_does_not_agree_is_not_closed_and_is_read_as_a_whole(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    check = a_check()
    refund = await reserve(pool)
    await close(pool, check)
    # What only the owner of the tables can do, or a fault of the disk.
    await owner.execute("ALTER TABLE postings DISABLE TRIGGER apply_posting")
    await pay(pool, refund)
    await owner.execute("ALTER TABLE postings ENABLE TRIGGER apply_posting")

    for _ in range(3):
        [finding] = await check.find(pool)
        assert finding.subject == "trial balance EUR"
    assert await closed_position(pool) == 0


async def change_a_closed_balance(pool: Pool, owner: asyncpg.Connection) -> None:
    await reserve(pool)
    await close(pool, a_check())
    await owner.execute("ALTER TABLE book_payments DISABLE TRIGGER USER")
    await owner.execute("UPDATE book_payments SET captured = captured + 1, refundable = refundable + 1")
    await owner.execute("ALTER TABLE book_payments ENABLE TRIGGER USER")


async def test_a_whole_reading_that_takes_too_long_leaves_the_check_since_the_closing(
    pool: Pool, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await change_a_closed_balance(pool, owner)
    check = a_check()
    monkeypatch.setattr(trial_balance, "LONGEST_READING_SECONDS", 1)
    async with owner.transaction():
        await owner.execute("LOCK TABLE book_payments")
        with pytest.raises(asyncpg.QueryCanceledError):
            await check.find(pool)

    assert await check.find(pool) == [], "only the whole reading finds the change"
    assert len(await Book(interval=ALWAYS).find(pool)) == 1


async def test_a_balance_that_was_changed_before_the_closing_is_found_by_the_daily_reading_of_all(
    pool: Pool, owner: asyncpg.Connection
) -> None:
    await change_a_closed_balance(pool, owner)
    assert len(await Book(interval=ALWAYS).find(pool)) == 1
    assert await closed_position(pool) == 0
