"""Invoices are dated and numbered by the seller's day; all times are UTC."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio
from common.database.transactions import Pool, open_pool, transaction
from hypothesis import given
from hypothesis import strategies as st
from invoicing.app import SERVICE
from invoicing.domain.numbering import SellerCalendar
from invoicing.domain.snapshot import Snapshot
from invoicing.repository import reading
from invoicing.settings import InvoicingSettings
from support.example.invoices import incoming_event
from support.example.order_events import order_shipped
from support.postgres.databases import Database

# The new year (UTC) that is nearest to the current time.
YEAR = SellerCalendar().nearest_new_year(datetime.now(UTC)).year
HALF_PAST_ELEVEN = datetime(YEAR - 1, 12, 31, 23, 30, tzinfo=UTC)

Clock = Callable[[datetime], Awaitable[None]]


@pytest_asyncio.fixture
async def clock(database: Database) -> AsyncIterator[Clock]:
    """A function that sets the result of `now()` for `clock_pool`."""
    owner = await asyncpg.connect(database.owner_dsn)

    async def set_time(moment: datetime) -> None:
        await owner.execute(
            f"CREATE OR REPLACE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql "
            f"AS $$ SELECT '{moment.isoformat()}'::timestamptz $$"
        )

    await owner.execute("CREATE SCHEMA clock; GRANT USAGE ON SCHEMA clock TO PUBLIC")
    await set_time(HALF_PAST_ELEVEN)
    yield set_time
    await owner.close()


@pytest_asyncio.fixture
async def clock_pool(database: Database, clock: Clock) -> AsyncIterator[Pool]:
    """Connections in which `now()` returns the time of `clock`."""
    path = {"search_path": "clock, pg_catalog, public"}
    async with await open_pool(database.dsn, size=2, application_name="test", server_settings=path) as pool:
        yield pool


async def snapshot_of_new_invoice(pool: Pool, database: Database, zone: str, shipped_at: datetime) -> Snapshot:
    """Consume an order in a service with this time zone, and return the snapshot of its invoice."""
    settings = InvoicingSettings(database_url=database.dsn, kafka_bootstrap="127.0.0.1:9", seller_time_zone=zone)
    handlers = SERVICE.event_handlers(settings)
    order = order_shipped(shipped_at=shipped_at.isoformat())
    async with transaction(pool) as connection:
        await handlers["order.shipped"].process(connection, [incoming_event(order)])
    invoice_id = await pool.fetchval("SELECT id FROM invoices WHERE order_id = $1", order["order_id"])
    async with pool.acquire() as connection:
        return await reading.find_snapshot(connection, invoice_id)


@pytest.mark.parametrize(
    ("zone", "year", "day"),
    [
        ("Europe/Paris", YEAR, date(YEAR, 1, 1)),
        ("Pacific/Kiritimati", YEAR, date(YEAR, 1, 1)),
        ("UTC", YEAR - 1, date(YEAR - 1, 12, 31)),
        ("Europe/London", YEAR - 1, date(YEAR - 1, 12, 31)),
        ("America/New_York", YEAR - 1, date(YEAR - 1, 12, 31)),
    ],
)
async def test_an_order_shipped_on_new_years_eve_is_invoiced_in_the_sellers_year(
    clock_pool: Pool, database: Database, zone: str, year: int, day: date
) -> None:
    snapshot = await snapshot_of_new_invoice(clock_pool, database, zone, HALF_PAST_ELEVEN)
    assert snapshot.invoice_number == f"INV-{year}-000001"
    assert (snapshot.invoice_date, snapshot.shipped_on) == (day, day)
    assert await clock_pool.fetchval("SELECT created_at FROM invoices") == HALF_PAST_ELEVEN


async def test_a_new_series_begins_at_the_sellers_midnight_exactly(
    clock_pool: Pool, database: Database, clock: Clock
) -> None:
    midnight = datetime(YEAR, 1, 1, tzinfo=ZoneInfo("Asia/Kolkata")).astimezone(UTC)
    numbers = []
    for moment in (midnight - timedelta(microseconds=1), midnight, midnight + timedelta(days=150)):
        await clock(moment)
        snapshot = await snapshot_of_new_invoice(clock_pool, database, "Asia/Kolkata", moment)
        numbers.append((snapshot.invoice_number, snapshot.invoice_date.year))
    assert numbers == [
        (f"INV-{YEAR - 1}-000001", YEAR - 1),
        (f"INV-{YEAR}-000001", YEAR),
        (f"INV-{YEAR}-000002", YEAR),
    ]


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-03-28T22:59:59Z", "2026-03-28"),  # UTC+1, the day before summer time
        ("2026-03-28T23:00:00Z", "2026-03-29"),
        ("2026-03-29T21:59:59Z", "2026-03-29"),  # UTC+2: the day has 23 hours
        ("2026-03-29T22:00:00Z", "2026-03-30"),
        ("2026-10-24T22:00:00Z", "2026-10-25"),
        ("2026-10-25T22:59:59Z", "2026-10-25"),  # UTC+1 again: the day has 25 hours
        ("2026-10-25T23:00:00Z", "2026-10-26"),
    ],
)
def test_a_day_begins_and_ends_at_the_sellers_midnight_even_when_clocks_change(moment: str, day: str) -> None:
    assert SellerCalendar(ZoneInfo("Europe/Paris")).day_of(datetime.fromisoformat(moment)).isoformat() == day


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2150, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata", "Etc/GMT+12"]),
)
def test_the_nearest_new_year_determines_the_sellers_year_of_any_instant(moment: datetime, zone: str) -> None:
    calendar = SellerCalendar(ZoneInfo(zone))
    new_year = calendar.nearest_new_year(moment)
    assert abs(new_year.begins - moment) < timedelta(days=185)
    assert calendar.day_of(moment).year == (new_year.year if moment >= new_year.begins else new_year.year - 1)
