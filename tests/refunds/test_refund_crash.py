"""Workers that die at the worst moments: the gateway was called, and nobody wrote down what it said."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from common.database.transactions import Pool
from support.example.refunds import job_in_state, job_of, open_refund
from support.payments.sandbox import PaymentSandbox
from support.postgres.databases import Database
from support.waiting import eventually

StartWorker = Callable[..., subprocess.Popen[bytes]]
LEASE_SECONDS = 1


@pytest.fixture
def start_worker(database: Database, sandbox: PaymentSandbox) -> Iterator[StartWorker]:
    """`start_worker(FAILPOINT=…)`: the role `worker` as a process of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**environment: str) -> subprocess.Popen[bytes]:
        known = {
            "PATH": os.defpath,
            "DATABASE_URL": database.dsn,
            "KAFKA_BOOTSTRAP": "127.0.0.1:9",
            "PAYMENT_GATEWAY_URL": sandbox.url,
            "PAYMENT_GATEWAY_KEY": "sk_test_1",
            "HTTP_PORT": "0",
            "RETRY_UNIT_SECONDS": "0.02",
            "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        started.append(subprocess.Popen([sys.executable, "-m", "refunds", "worker"], env={**known, **environment}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


async def test_a_worker_killed_between_the_call_and_the_transaction_leaves_one_refund(
    pool: Pool, sandbox: PaymentSandbox, start_worker: StartWorker
) -> None:
    refund = await open_refund(pool, customer_email=None)
    killed = start_worker(FAILPOINT="refund.after_call:kill")

    async def is_dead() -> bool:
        return killed.poll() == -signal.SIGKILL

    await eventually(is_dead)
    (made,) = await sandbox.refunds(refund.request.payment_reference)
    assert (await job_of(pool, refund)).state == "running"
    assert await pool.fetchval("SELECT status FROM refunds") == "PENDING"

    start_worker()
    job = await job_in_state(pool, refund, "done")

    assert [outcome for outcome, _ in job.attempts] == ["abandoned", "succeeded"]
    assert await pool.fetchval("SELECT transaction_id FROM refunds") == made["id"]
    assert await sandbox.calls(refund.request.payment_reference) == ["applied", "listed"]


async def test_a_worker_killed_while_it_waits_for_the_answer_leaves_one_refund(
    pool: Pool, sandbox: PaymentSandbox, start_worker: StartWorker
) -> None:
    refund = await open_refund(pool, customer_email=None)
    await sandbox.fail("timeout_after_apply", 1, refund.reference)
    killed = start_worker()

    async def is_made() -> bool:
        return len(await sandbox.refunds(refund.request.payment_reference)) == 1

    await eventually(is_made)
    killed.kill()
    start_worker()
    job = await job_in_state(pool, refund, "done")

    assert [outcome for outcome, _ in job.attempts] == ["abandoned", "succeeded"]
    assert await sandbox.calls(refund.request.payment_reference) == ["applied", "listed"]
    assert [row["type"] for row in await pool.fetch("SELECT type FROM outbox")] == ["refund.succeeded"]


async def test_a_worker_that_is_paused_past_its_lease_wakes_up_to_nothing(
    pool: Pool, sandbox: PaymentSandbox, start_worker: StartWorker
) -> None:
    refund = await open_refund(pool, customer_email=None)
    paused = start_worker(FAILPOINT="refund.after_call:stop")

    async def is_made() -> bool:
        return len(await sandbox.refunds(refund.request.payment_reference)) == 1

    await eventually(is_made)
    start_worker()
    await job_in_state(pool, refund, "done")
    attempts = (await job_of(pool, refund)).attempts
    paused.send_signal(signal.SIGCONT)
    paused.send_signal(signal.SIGTERM)

    async def has_ended() -> bool:
        return paused.poll() is not None

    await eventually(has_ended)
    assert paused.returncode == 0
    assert (await job_of(pool, refund)).attempts == attempts
    assert await sandbox.calls(refund.request.payment_reference) == ["applied", "listed"]
    assert [row["type"] for row in await pool.fetch("SELECT type FROM outbox")] == ["refund.succeeded"]
