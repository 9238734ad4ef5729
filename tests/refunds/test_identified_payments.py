"""Refunds of payments that were first reported without an id: the provider's id is used as soon as it is known."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from common.database.statements import Connection
from common.database.transactions import Pool, transaction
from common.jobs import endings
from common.jobs.handler import Subject
from common.jobs.job import Job, Postponed
from refunds.use_cases.opening import identify_payment
from refunds.worker.refund_job import RefundJob
from support.example.refunds import claim_job, job_in_state, open_refund, row_of, running_worker
from support.jobs.attempts import complete
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.sandbox import PaymentSandbox
from support.postgres.audit_and_events import audit_and_events, last_event
from support.waiting import eventually


async def test_a_payment_with_a_known_id_is_never_requested_by_the_derived_reference(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob
) -> None:
    order_id, payment_id = uuid4(), f"pi_{uuid4().hex}"
    refund = await open_refund(pool, order_id=order_id, payment_reference=f"order-{order_id}")
    await identify(pool, order_id, payment_id)
    async with running_worker(pool, refund_job):
        await job_in_state(pool, refund, "done")
    assert await sandbox.calls(f"order-{order_id}") == []
    (provider_refund,) = await sandbox.refunds(payment_id)
    row = await row_of(pool, refund.id)
    assert (row["payment_reference"], row["transaction_id"]) == (payment_id, provider_refund["id"])
    assert (await last_event(pool, str(refund.id)))["payment_reference"] == payment_id


async def test_a_refund_declined_for_the_derived_reference_is_retried_when_the_id_is_known(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob
) -> None:
    order_id, payment_id = uuid4(), f"pi_{uuid4().hex}"
    refund = await open_refund(pool, order_id=order_id, payment_reference=f"order-{order_id}")
    await sandbox.fail("decline", None, f"order-{order_id}")
    async with running_worker(pool, refund_job):
        await job_in_state(pool, refund, "dead")
        await identify(pool, order_id, payment_id)
        await job_in_state(pool, refund, "done")
    (provider_refund,) = await sandbox.refunds(payment_id)
    assert await sandbox.refunds(f"order-{order_id}") == []
    assert (await row_of(pool, refund.id))["transaction_id"] == provider_refund["id"]
    assert await sandbox.keys(payment_id) == [f"{refund.idempotency_key}-1"]
    stored_rows = await audit_and_events(pool, "REFUND", str(refund.id))
    assert stored_rows.events == [("refund.failed", 1), ("refund.succeeded", 2)]


async def test_an_id_that_arrives_during_the_decline_of_the_derived_reference_is_used_in_the_same_attempt(
    pool: Pool,
) -> None:
    order_id, payment_id = uuid4(), f"pi_{uuid4().hex}"
    refund = await open_refund(pool, order_id=order_id, payment_reference=f"order-{order_id}")
    gateway = FakePaymentGateway(knows_derived_references=False)
    gateway.meanwhile = lambda: identify(pool, order_id, payment_id)
    async with running_worker(pool, RefundJob(gateway)):
        job = await job_in_state(pool, refund, "done")
    assert [outcome for outcome, _ in job.attempts] == ["succeeded"]
    assert len(await gateway.refunds(payment_id)) == 1


async def test_an_id_that_arrives_while_a_declined_refund_fails_permanently_is_not_missed(pool: Pool) -> None:
    """Neither transaction sees what the other has not committed: the dead job and the id."""
    order_id, payment_id = uuid4(), f"pi_{uuid4().hex}"
    refund = await open_refund(pool, order_id=order_id, payment_reference=f"order-{order_id}")
    gateway = FakePaymentGateway(knows_derived_references=False)

    class IdArrivesOnFailure(RefundJob):
        async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
            await identify(pool, order_id, payment_id)
            return await super().on_failure(connection, job, error)

    async with running_worker(pool, IdArrivesOnFailure(gateway)):
        await job_in_state(pool, refund, "done")
    assert len(await gateway.refunds(payment_id)) == 1
    stored_rows = await audit_and_events(pool, "REFUND", str(refund.id))
    assert stored_rows.events == [("refund.failed", 1), ("refund.succeeded", 2)]


async def is_a_lock_awaited(pool: Pool) -> bool:
    query = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await pool.fetchval(query))


async def test_a_refund_that_fails_permanently_blocks_an_arriving_id_until_its_commit(pool: Pool) -> None:
    order_id, payment_id = uuid4(), f"pi_{uuid4().hex}"
    refund = await open_refund(pool, order_id=order_id, payment_reference=f"order-{order_id}")
    gateway = FakePaymentGateway(knows_derived_references=False)
    identifying: list[asyncio.Task[None]] = []

    class IdArrivesBeforeCommit(RefundJob):
        async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
            subject = await super().on_failure(connection, job, error)
            if not identifying:
                identifying.append(asyncio.create_task(identify(pool, order_id, payment_id)))
                await eventually(lambda: is_a_lock_awaited(pool))
            return subject

    async with running_worker(pool, IdArrivesBeforeCommit(gateway)):
        await job_in_state(pool, refund, "done")
    assert len(await gateway.refunds(payment_id)) == 1


async def test_a_call_for_the_derived_reference_without_a_response_is_not_repeated_for_the_id(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob
) -> None:
    order_id, payment_id = uuid4(), f"pi_{uuid4().hex}"
    refund = await open_refund(pool, order_id=order_id, payment_reference=f"order-{order_id}")
    await sandbox.fail("timeout_after_apply", 1, f"order-{order_id}")
    job = await claim_job(pool, refund)
    with pytest.raises(Postponed, match="no answer"):
        await complete(refund_job, job)
    await identify(pool, order_id, payment_id)
    async with transaction(pool) as connection:
        await endings.postpone(connection, job, "no answer", timedelta(0))
    async with running_worker(pool, refund_job):
        await job_in_state(pool, refund, "done")
    (provider_refund,) = await sandbox.refunds(f"order-{order_id}")
    assert await sandbox.refunds(payment_id) == []
    assert (await row_of(pool, refund.id))["transaction_id"] == provider_refund["id"]


async def identify(pool: Pool, order_id: UUID, reference: str) -> None:
    async with transaction(pool) as connection:
        await identify_payment(connection, order_id, f"order-{order_id}", reference)
