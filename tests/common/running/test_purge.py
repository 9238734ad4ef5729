"""The purge deletes expired rows in small batches, and no others."""

import asyncio

from common.database.transactions import Pool, transaction
from common.running.purge import purge_regularly, standard_rules
from common.settings import ServiceSettings
from support.kafka.relays import PARK_EVENT, write_events
from support.metrics.moved import moves
from support.waiting import eventually

SETTINGS = ServiceSettings(
    database_url="postgresql://nowhere",
    kafka_bootstrap="nowhere",
    outbox_retention_days=7,
    inbox_retention_days=14,
    job_retention_days=30,
    poison_retention_days=60,
)
TOPIC = "articurated.orders"
INBOX_ROWS = """
INSERT INTO inbox (consumer, event_id, topic, partition, "offset", received_at)
SELECT 'invoicing', number::text, '', 0, number, now() - interval '13 days' - interval '2 days' * (number % 2)
FROM generate_series(1, $1) AS number
"""
STORED_RESPONSES = """
INSERT INTO idempotency_keys (scope, key, request_hash, status, headers, body, expires_at)
SELECT '', key, '', 200, '{}', '', now() + due::interval
FROM (VALUES ('new', '1 hour'), ('old', '-1 second')) AS answer(key, due)
"""
JOBS = """
WITH made AS (
    INSERT INTO jobs (id, kind, business_key, payload, state, created_at, finished_at, traceparent)
    SELECT gen_random_uuid(), 'mail', key, '{}', state, now() - interval '90 days', now() - age::interval, ''
    FROM (VALUES ('done before', 'done', '31 days'), ('done lately', 'done', '29 days'),
                 ('discarded before', 'discarded', '31 days'), ('discarded lately', 'discarded', '29 days'),
                 ('dead long ago', 'dead', '89 days'), ('never begun', 'ready', NULL),
                 ('begun', 'running', NULL)) AS job(key, state, age)
    RETURNING id)
INSERT INTO job_attempts (job_id, number, worker) SELECT id, number, 'anna' FROM made, generate_series(1, 2) AS number
"""
POISON = """
INSERT INTO poison (id, topic, partition, "offset", digest, headers, record_time, error, state, created_at, replayed_at)
SELECT gen_random_uuid(), key, 0, 0, '', '[]', 0, 'unreadable', state, now() - interval '90 days', now() - age::interval
FROM (VALUES ('replayed long ago', 'replayed', '61 days'), ('replayed lately', 'replayed', '59 days'),
             ('never replayed', 'kept', NULL)) AS record(key, state, age)
"""
DISCARDED_POISON = """
INSERT INTO poison (id, topic, partition, "offset", digest, headers, record_time, error, state, discarded_at)
SELECT gen_random_uuid(), key, 0, 0, '', '[]', 0, 'unreadable', 'discarded', now() - age::interval
FROM (VALUES ('discarded long ago', '61 days'), ('discarded lately', '59 days')) AS record(key, age)
"""
DELETE_PENDING = (
    "DELETE FROM outbox_pending USING outbox WHERE outbox.position = outbox_pending.position AND key = ANY ($1)"
)


async def purge_until(pool: Pool, query: str) -> None:
    """Run the purger until the query returns true."""
    stopping = asyncio.Event()
    purging = asyncio.create_task(purge_regularly(pool, standard_rules(SETTINGS), stopping))
    await eventually(lambda: pool.fetchval(query))
    stopping.set()
    await asyncio.wait_for(purging, 5)


@moves("purged_rows_total")
async def test_only_published_events_past_their_retention_are_deleted(pool: Pool) -> None:
    await write_events(pool, TOPIC, ["old", "new", "parked", "pending"], range(1, 2))
    await pool.execute("UPDATE outbox SET created_at = now() - interval '8 days' WHERE key <> 'new'")
    await pool.execute("UPDATE outbox SET created_at = now() - interval '6 days' WHERE key = 'new'")
    await pool.execute(PARK_EVENT, TOPIC, "parked", 1)
    await pool.execute(DELETE_PENDING, ["old", "new"])

    await purge_until(pool, "SELECT NOT EXISTS (SELECT FROM outbox WHERE key = 'old')")

    assert await pool.fetchval("SELECT array_agg(key ORDER BY key) FROM outbox") == ["new", "parked", "pending"]


async def test_several_batches_are_deleted_except_locked_rows(pool: Pool) -> None:
    await pool.execute(INBOX_ROWS, 5_000)
    async with transaction(pool) as holder:
        await holder.execute("SELECT FROM inbox WHERE event_id = '1' FOR UPDATE")
        await purge_until(pool, "SELECT count(*) = 2501 FROM inbox")
    await purge_until(pool, "SELECT count(*) = 2500 FROM inbox")
    assert await pool.fetchval("SELECT min(received_at) > now() - interval '14 days' FROM inbox")


async def test_stored_responses_are_deleted_when_they_expire(pool: Pool) -> None:
    await pool.execute(STORED_RESPONSES)
    await purge_until(pool, "SELECT count(*) = 1 FROM idempotency_keys")
    assert await pool.fetchval("SELECT key FROM idempotency_keys") == "new"


async def test_only_done_and_discarded_jobs_past_their_retention_are_deleted_with_their_attempts(pool: Pool) -> None:
    await pool.execute(JOBS)
    await purge_until(pool, "SELECT count(*) = 5 FROM jobs")
    remaining_keys = ["begun", "dead long ago", "discarded lately", "done lately", "never begun"]
    assert await pool.fetchval("SELECT array_agg(business_key ORDER BY business_key) FROM jobs") == remaining_keys
    assert await pool.fetchval("SELECT count(*) FROM job_attempts") == 2 * len(remaining_keys)


async def test_only_replayed_and_discarded_poison_records_past_their_retention_are_deleted(pool: Pool) -> None:
    await pool.execute(POISON)
    await pool.execute(DISCARDED_POISON)
    await purge_until(pool, "SELECT count(*) = 3 FROM poison")
    assert await pool.fetchval("SELECT array_agg(topic ORDER BY topic) FROM poison") == [
        "discarded lately",
        "never replayed",
        "replayed lately",
    ]


async def test_sequences_of_purged_events_are_never_deleted(pool: Pool) -> None:
    """Consumers would treat an event with sequence 1 as an old one."""
    await pool.execute("INSERT INTO event_streams VALUES ('articurated.refunds', 'order-1', 3)")
    await pool.execute(STORED_RESPONSES)
    await purge_until(pool, "SELECT count(*) = 1 FROM idempotency_keys")
    assert await pool.fetchval("SELECT sequence FROM event_streams") == 3
