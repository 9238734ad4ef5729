"""The provider's events are deleted after their retention, unless a job may still apply them."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from common.database.transactions import Pool, transaction
from common.running.purge import PurgeRule, purge_regularly
from refunds.app import SERVICE
from refunds.payment_gateway.port import DisputeStatus, GatewayEvent, PaymentDisputed
from refunds.settings import RefundsSettings
from refunds.use_cases.provider_events import receive
from support.waiting import eventually

SETTINGS = RefundsSettings(
    database_url="postgresql://nowhere/nothing", kafka_bootstrap="nowhere:9092", provider_event_retention_days=30
)


async def received(pool: Pool, name: str, *, age: timedelta, job_state: str) -> None:
    dispute = PaymentDisputed(name, "pi_1", Decimal(1), "EUR", DisputeStatus.OPENED, reason=None)
    async with transaction(pool) as connection:
        assert await receive(connection, "stripe", GatewayEvent(name, dispute, datetime.now(UTC)))
    await pool.execute("UPDATE provider_events SET received_at = now() - $2::interval WHERE event_id = $1", name, age)
    await pool.execute("UPDATE jobs SET state = $2 WHERE business_key = 'stripe:' || $1", name, job_state)


async def test_only_events_that_were_applied_and_are_older_than_the_setting_are_deleted(pool: Pool) -> None:
    old, new = timedelta(days=31), timedelta(days=29)
    await received(pool, "applied before", age=old, job_state="done")
    await received(pool, "applied lately", age=new, job_state="done")
    for state in ("ready", "dead", "discarded"):
        await received(pool, state, age=old, job_state=state)
    await received(pool, "without a job", age=old, job_state="done")
    await pool.execute("DELETE FROM jobs WHERE business_key = 'stripe:without a job'")

    stopping = asyncio.Event()
    rules = [PurgeRule(*each) for each in SERVICE.expired_rows(SETTINGS)]
    purging = asyncio.create_task(purge_regularly(pool, rules, stopping))
    count = "SELECT count(*) <= 4 FROM provider_events"
    await eventually(lambda: pool.fetchval(count))
    stopping.set()
    await asyncio.wait_for(purging, 5)

    kept = await pool.fetchval("SELECT array_agg(event_id ORDER BY event_id) FROM provider_events")
    assert kept == ["applied lately", "dead", "discarded", "ready"]
