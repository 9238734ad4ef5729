"""Workers that are killed after the call to the payment gateway and before its result is committed."""

import signal
from collections.abc import Iterator

import pytest
from common.database.transactions import Pool
from support.example.refunds import job_in_state, job_of, open_refund
from support.payments.sandbox import PaymentSandbox
from support.postgres.databases import Database
from support.processes.worker import StartWorker, killed, worker_starter
from support.waiting import eventually, eventually_true


@pytest.fixture
def start_worker(database: Database, sandbox: PaymentSandbox) -> Iterator[StartWorker]:
    wiring = {"PAYMENT_GATEWAY_URL": sandbox.url, "PAYMENT_GATEWAY_KEY": "sk_test_1"}
    with worker_starter("refunds", database, **wiring) as start:
        yield start


async def test_a_worker_killed_between_the_call_and_the_transaction_leaves_one_refund(
    pool: Pool, sandbox: PaymentSandbox, start_worker: StartWorker
) -> None:
    refund = await open_refund(pool, customer_email=None)
    await killed(start_worker(FAILPOINT="refund.after_call:kill"))
    (provider_refund,) = await sandbox.refunds(refund.request.payment_reference)
    assert (await job_of(pool, refund)).state == "running"
    assert await pool.fetchval("SELECT status FROM refunds") == "CALLING"

    start_worker()
    job = await job_in_state(pool, refund, "done")

    assert [outcome for outcome, _ in job.attempts] == ["abandoned", "succeeded"]
    assert await pool.fetchval("SELECT transaction_id FROM refunds") == provider_refund["id"]
    assert await sandbox.calls(refund.request.payment_reference) == ["applied", "listed"]


async def test_a_worker_killed_while_it_waits_for_the_response_leaves_one_refund(
    pool: Pool, sandbox: PaymentSandbox, start_worker: StartWorker
) -> None:
    refund = await open_refund(pool, customer_email=None)
    await sandbox.fail("timeout_after_apply", 1, refund.reference)
    worker = start_worker()

    async def is_made() -> bool:
        return len(await sandbox.refunds(refund.request.payment_reference)) == 1

    await eventually(is_made)
    worker.kill()
    start_worker()
    job = await job_in_state(pool, refund, "done")

    assert [outcome for outcome, _ in job.attempts] == ["abandoned", "succeeded"]
    assert await sandbox.calls(refund.request.payment_reference) == ["applied", "listed"]
    assert [row["type"] for row in await pool.fetch("SELECT type FROM outbox")] == ["refund.succeeded"]


async def test_a_process_that_is_paused_past_its_lease_changes_nothing(
    pool: Pool, sandbox: PaymentSandbox, start_worker: StartWorker
) -> None:
    refund = await open_refund(pool, customer_email=None)
    paused_worker = start_worker(FAILPOINT="refund.after_call:stop")

    async def is_made() -> bool:
        return len(await sandbox.refunds(refund.request.payment_reference)) == 1

    await eventually(is_made)
    start_worker()
    await job_in_state(pool, refund, "done")
    attempts = (await job_of(pool, refund)).attempts
    paused_worker.send_signal(signal.SIGCONT)
    paused_worker.send_signal(signal.SIGTERM)
    await eventually_true(lambda: paused_worker.poll() is not None, within=30)
    assert paused_worker.returncode == 0
    assert (await job_of(pool, refund)).attempts == attempts
    assert await sandbox.calls(refund.request.payment_reference) == ["applied", "listed"]
    assert [row["type"] for row in await pool.fetch("SELECT type FROM outbox")] == ["refund.succeeded"]
