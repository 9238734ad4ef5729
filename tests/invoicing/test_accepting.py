"""A shipped order is invoiced once: number, snapshot and job, also for repeated and concurrent events."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import pytest
from common.database.transactions import Pool, open_pool, reading, transaction
from invoicing.domain.snapshot import InconsistentOrder
from invoicing.repository.reading import find_snapshot
from support.example.ada import ADA
from support.example.invoices import SELLER, consume, consume_in, invoice_numbers, invoice_of, job_of
from support.example.order_events import an_order_line, order_shipped
from support.postgres.audit_trail import first_broken, history
from support.postgres.databases import Database

YEAR = datetime.now(UTC).year


def first_numbers(count: int) -> list[str]:
    return [f"INV-{YEAR}-{position:06d}" for position in range(1, count + 1)]


async def test_a_shipped_order_gets_the_next_number_and_a_job(pool: Pool) -> None:
    order = order_shipped()
    await consume(pool, order)
    invoice = await invoice_of(pool, order)
    assert (invoice.number, invoice.status, invoice.mail_status) == (f"INV-{YEAR}-000001", "PENDING", "PENDING")
    job = await job_of(pool, order)
    assert job is not None
    assert job.state == "ready"


async def test_a_shipped_order_is_invoiced_once_even_if_redelivered(pool: Pool) -> None:
    order, other = order_shipped(), order_shipped()
    await consume(pool, order)
    await consume(pool, order, other, other)
    await consume(pool, order, other)
    assert await invoice_numbers(pool) == first_numbers(2)
    assert (await invoice_of(pool, order)).number == first_numbers(1)[0]
    assert await pool.fetchval("SELECT count(*) FROM jobs") == 2


async def test_a_repeated_event_creates_no_second_one_after_its_jobs_were_purged(pool: Pool) -> None:
    order = order_shipped()
    await consume(pool, order)
    await pool.execute("DELETE FROM jobs")
    await consume(pool, order)
    assert await pool.fetchval("SELECT count(*) FROM jobs") == 0
    assert await invoice_numbers(pool) == first_numbers(1)


async def test_numbers_follow_the_order_of_the_events(pool: Pool) -> None:
    orders = [order_shipped() for _ in range(20)]
    await consume(pool, *orders)
    assert [(await invoice_of(pool, order)).number for order in orders] == first_numbers(20)


async def test_fifty_concurrent_copies_of_an_event_make_one_invoice_with_one_number(database: Database) -> None:
    order = order_shipped()
    pool = await open_pool(database.dsn, size=25, application_name="test")
    await asyncio.gather(*(consume(pool, order) for _ in range(50)))
    await consume(pool, order_shipped())
    assert await invoice_numbers(pool) == first_numbers(2)
    await pool.close()


async def test_numbers_have_no_gaps_after_rollbacks(pool: Pool) -> None:
    class Undone(Exception):
        pass

    async def accept_or_undo(undo: bool) -> None:
        async with transaction(pool) as connection:
            await consume_in(connection, *(order_shipped() for _ in range(3)))
            if undo:
                raise Undone

    outcomes = await asyncio.gather(*(accept_or_undo(turn % 3 == 0) for turn in range(30)), return_exceptions=True)
    assert sum(isinstance(outcome, Undone) for outcome in outcomes) == 10
    assert all(outcome is None or isinstance(outcome, Undone) for outcome in outcomes)
    assert await invoice_numbers(pool) == first_numbers(60)


async def test_invoice_dates_never_decrease_with_rising_numbers(pool: Pool) -> None:
    await asyncio.gather(*(consume(pool, order_shipped()) for _ in range(20)))
    rows = await pool.fetch("SELECT created_at FROM invoices ORDER BY number")
    assert [row["created_at"] for row in rows] == sorted(row["created_at"] for row in rows)


async def test_each_seller_has_its_own_series(pool: Pool) -> None:
    order = order_shipped()
    await consume(pool, order_shipped())
    await consume(pool, order, seller=replace(SELLER, id="articurated-uk"))
    assert (await invoice_of(pool, order)).number == first_numbers(1)[0]


async def test_an_order_whose_amounts_do_not_add_up_uses_no_number(pool: Pool) -> None:
    with pytest.raises(InconsistentOrder):
        await consume(pool, order_shipped(), order_shipped(total_amount="79.07"))
    order = order_shipped()
    await consume(pool, order)
    assert (await invoice_of(pool, order)).number == first_numbers(1)[0]


async def test_all_printed_data_is_stored_when_the_invoice_is_accepted(pool: Pool) -> None:
    order = order_shipped(
        line_items=[an_order_line("Vase <b>“Ωмега”</b> 花瓶", 1, "68.30", "0", "68.30")], tax_amount="0.00"
    )
    order |= {"taxes": [{"rate": "0.00", "net": "68.30", "tax": "0.00"}], "total_amount": "68.30"}
    await consume(pool, order)
    invoice = await invoice_of(pool, order)
    async with reading(pool) as connection:
        snapshot = await find_snapshot(connection, invoice.id)
    assert snapshot.invoice_number == invoice.number
    assert snapshot.seller == SELLER
    assert (snapshot.buyer.customer_id, snapshot.buyer.email) == (ADA, "ada@example.org")
    assert snapshot.shipping_address.street == "Zum Ödberg 7"
    assert snapshot.shipped_on.isoformat() == "2026-11-20"
    assert [line.product_name for line in snapshot.lines] == ["Vase <b>“Ωмега”</b> 花瓶"]
    assert snapshot.total_amount == Decimal("68.30")


async def test_the_data_that_an_invoice_is_rendered_from_cannot_be_changed(pool: Pool, database: Database) -> None:
    await consume(pool, order_shipped())
    owner = await asyncpg.connect(database.owner_dsn)
    for connection in (pool, owner):
        for command in ("UPDATE invoice_snapshots SET snapshot = '{}'", "DELETE FROM invoice_snapshots"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(command)
    await owner.close()


async def test_acceptance_is_audited_with_the_event_as_its_cause(pool: Pool) -> None:
    order = order_shipped()
    await consume(pool, order)
    invoice = await invoice_of(pool, order)
    async with reading(pool) as connection:
        [row] = await history(connection, "INVOICE", invoice.id)
    assert (row["previous_state"], row["new_state"], row["trigger"]) == (None, "PENDING", "EVENT")
    assert json.loads(row["details"])["invoice_number"] == invoice.number
    assert first_broken([row]) is None


async def test_without_an_email_address_no_mail_is_planned(pool: Pool) -> None:
    order = order_shipped(customer_email=None)
    await consume(pool, order)
    assert (await invoice_of(pool, order)).mail_status == "NO_ADDRESS"
