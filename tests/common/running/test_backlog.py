"""The backlog metrics are counted in the tables, so that they include processes that have ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from common.database.transactions import Pool
from common.running import backlog
from prometheus_client import REGISTRY
from support.metrics.moved import moves
from support.waiting import eventually

DEAD_JOB = """
INSERT INTO jobs (id, kind, business_key, payload, state, finished_at, traceparent)
VALUES (gen_random_uuid(), $1, gen_random_uuid()::text, '{}', 'dead', now(), '')
"""
POISON = """
INSERT INTO poison (id, topic, partition, "offset", digest, headers, record_time, error)
VALUES (gen_random_uuid(), $1, 0, $2, '', '[]', 0, 'unreadable')
"""


@asynccontextmanager
async def measuring_backlog(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(backlog, "SECONDS_BETWEEN_MEASUREMENTS", 0.02)
    stopping = asyncio.Event()
    task = asyncio.create_task(backlog.measure_backlog(pool, stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def until_metric(name: str, value: float | None, **labels: str) -> None:
    async def has_value() -> bool:
        return REGISTRY.get_sample_value(name, labels) == value

    await eventually(has_value)


async def test_dead_jobs_and_poison_records_are_counted_until_they_are_replayed(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("refund", "refund", "refund-mail"):
        await pool.execute(DEAD_JOB, kind)
    for offset in range(3):
        await pool.execute(POISON, "articurated.orders", offset)
    async with measuring_backlog(pool, monkeypatch):
        await until_metric("jobs_dead_rows", 2, kind="refund")
        await until_metric("jobs_dead_rows", 1, kind="refund-mail")
        await until_metric("poison_kept_rows", 3, topic="articurated.orders")

        await pool.execute("UPDATE jobs SET state = 'ready', finished_at = NULL WHERE kind = 'refund'")
        await pool.execute("UPDATE poison SET state = 'replayed', replayed_at = now()")
        await until_metric("jobs_dead_rows", None, kind="refund")
        await until_metric("jobs_dead_rows", 1, kind="refund-mail")
        await until_metric("poison_kept_rows", None, topic="articurated.orders")
        await until_metric("poison_kept_rows", 0, topic="")


async def test_an_empty_backlog_is_shown_as_zero(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with measuring_backlog(pool, monkeypatch):
        await until_metric("jobs_dead_rows", 0, kind="")
        await until_metric("poison_kept_rows", 0, topic="")


HELD_BACK = """
WITH event AS (
    INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, key, sequence, traceparent)
    VALUES (gen_random_uuid(), 'order', 'held', 'order.paid', 'x', 'articurated.orders', 'held', 1, '')
    RETURNING position
)
INSERT INTO outbox_pending SELECT position, 1, 7 FROM event
"""


@moves("outbox_held_back_rows")
async def test_held_back_events_are_counted(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await pool.execute(HELD_BACK)
    async with measuring_backlog(pool, monkeypatch):
        await until_metric("outbox_held_back_rows", 1)


DUE_JOB = """
INSERT INTO jobs (id, kind, business_key, payload, due_at, traceparent)
VALUES (gen_random_uuid(), $1, gen_random_uuid()::text, '{}', now() + $2, '')
"""


@moves("jobs_due_age_seconds")
async def test_the_wait_of_the_first_due_job_of_a_kind_is_shown_unless_the_kind_is_paused(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, seconds in (("refund", -90), ("refund", -30), ("refund-mail", -500), ("invoice-mail", 60)):
        await pool.execute(DUE_JOB, kind, timedelta(seconds=seconds))
    await pool.execute("INSERT INTO paused_kinds (kind, reason, paused_by) VALUES ('refund-mail', 'a test', 'ops')")
    async with measuring_backlog(pool, monkeypatch):

        async def has_waited() -> bool:
            waited = REGISTRY.get_sample_value("jobs_due_age_seconds", {"kind": "refund"})
            return waited is not None and 90 <= waited < 120

        await eventually(has_waited)
        await until_metric("jobs_due_age_seconds", None, kind="refund-mail")
        await until_metric("jobs_due_age_seconds", None, kind="invoice-mail")


RUNNING_JOB = """
INSERT INTO jobs (id, kind, business_key, payload, state, due_at, leased_until, traceparent)
VALUES (gen_random_uuid(), $1, gen_random_uuid()::text, '{}', 'running', now() + $2, now() + $3, '')
"""


async def until_unclaimed(kind: str, seconds: int) -> None:
    async def has_waited() -> bool:
        waited = REGISTRY.get_sample_value("jobs_unclaimed_age_seconds", {"kind": kind})
        return waited is not None and seconds <= waited < seconds + 30

    await eventually(has_waited)


async def test_a_due_job_behind_running_ones_of_its_kind_is_a_backlog_and_not_unclaimed(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in (-90, -60, 30):
        await pool.execute(DUE_JOB, "refund", timedelta(seconds=seconds))
    await pool.execute(RUNNING_JOB, "refund", timedelta(seconds=-120), timedelta(minutes=1))
    await pool.execute(RUNNING_JOB, "invoice-mail", timedelta(seconds=-500), timedelta(minutes=1))
    await pool.execute(DUE_JOB, "refund-mail", timedelta(seconds=-40))
    async with measuring_backlog(pool, monkeypatch):
        # Of this kind, no job is running.
        await until_unclaimed("refund-mail", 40)
        await until_metric("jobs_unclaimed_age_seconds", None, kind="refund")
        waited = REGISTRY.get_sample_value("jobs_due_age_seconds", {"kind": "refund"})
        assert waited is not None
        assert waited >= 90


@moves("jobs_unclaimed_age_seconds")
async def test_a_due_job_that_later_ones_overtake_is_unclaimed(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await pool.execute(DUE_JOB, "refund", timedelta(seconds=-90))
    await pool.execute(RUNNING_JOB, "refund", timedelta(seconds=-60), timedelta(minutes=1))
    async with measuring_backlog(pool, monkeypatch):
        await until_unclaimed("refund", 90)


async def test_a_job_whose_place_is_held_by_a_worker_with_an_expired_lease_is_unclaimed(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.execute(DUE_JOB, "refund", timedelta(seconds=-90))
    await pool.execute(RUNNING_JOB, "refund", timedelta(seconds=-120), timedelta(seconds=-1))
    async with measuring_backlog(pool, monkeypatch):
        await until_unclaimed("refund", 90)


@moves("jobs_paused")
async def test_paused_kinds_are_shown(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await pool.execute("INSERT INTO paused_kinds (kind, reason, paused_by) VALUES ('refund', 'a test', 'ops')")
    async with measuring_backlog(pool, monkeypatch):
        await until_metric("jobs_paused", 1, kind="refund")
