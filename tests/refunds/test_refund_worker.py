"""The refund job with the payment sandbox: failures and lost responses; the money is refunded once."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import structlog
from common.database.transactions import Pool, transaction
from common.jobs import endings
from common.jobs.job import LeaseLost, Postponed
from common.messaging.dead_letters import dead_letter_topic
from prometheus_client import REGISTRY
from refunds.events import REFUNDS_TOPIC
from refunds.payment_gateway.port import RefundCall
from refunds.payment_gateway.stripe import StripeGateway
from refunds.use_cases.jobs import MAIL_JOB
from refunds.worker.refund_job import RefundJob
from support.example.ada import TOTAL
from support.example.refunds import (
    RETRY_UNIT,
    claim_job,
    job_in_state,
    job_of,
    open_refund,
    replay,
    row_of,
    running_worker,
)
from support.jobs.attempts import complete
from support.jobs.rows import JobRow
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.sandbox import PaymentSandbox
from support.postgres.audit_and_events import audit_and_events, last_event


def counted(job: JobRow) -> list[tuple[str | None, str | None]]:
    """The attempts without those that were only postponed."""
    return [(outcome, error) for outcome, error in job.attempts if outcome != "handed_back"]


def outcome_count(outcome: str) -> float:
    return REGISTRY.get_sample_value("refunds_total", {"outcome": outcome}) or 0.0


def refunds_within_two_hours() -> float:
    return REGISTRY.get_sample_value("refund_seconds_bucket", {"le": "7200.0"}) or 0.0


async def test_a_refund_that_waited_for_three_hours_missed_the_two(pool: Pool, refund_job: RefundJob) -> None:
    refund = await open_refund(pool)
    await pool.execute("UPDATE refunds SET created_at = now() - interval '3 hours' WHERE id = $1", refund.id)
    in_time, slow = refunds_within_two_hours(), REGISTRY.get_sample_value("refund_seconds_count") or 0.0
    async with running_worker(pool, refund_job):
        await job_in_state(pool, refund, "done")
    assert REGISTRY.get_sample_value("refund_seconds_count") == slow + 1
    assert refunds_within_two_hours() == in_time


async def test_a_refund_is_made_published_and_confirmed_by_mail(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob
) -> None:
    refund = await open_refund(pool)
    count_before, seconds_before = outcome_count("succeeded"), refunds_within_two_hours()
    async with running_worker(pool, refund_job):
        await job_in_state(pool, refund, "done")

    assert refunds_within_two_hours() == seconds_before + 1
    (provider_refund,) = await sandbox.refunds(refund.request.payment_reference)
    row = await row_of(pool, refund.id)
    assert (row["status"], row["transaction_id"], row["attempts"]) == ("SUCCEEDED", provider_refund["id"], 1)
    assert await sandbox.calls(refund.request.payment_reference) == ["applied"], "a first attempt does not search"
    assert (await job_of(pool, refund)).attempts == [("succeeded", None)]
    assert (await job_of(pool, refund, MAIL_JOB)).state == "ready"
    assert outcome_count("succeeded") == count_before + 1

    stored_rows = await audit_and_events(pool, "REFUND", str(refund.id))
    assert stored_rows.transitions == [(None, "READY", "ACCEPTED"), ("CALLING", "SUCCEEDED", "ACCEPTED")]
    assert stored_rows.events == [("refund.succeeded", 1)]
    event = await last_event(pool, str(refund.id))
    assert (event["status"], event["transaction_id"], event["amount"]) == ("SUCCEEDED", provider_refund["id"], TOTAL)
    (event_row,) = await pool.fetch("SELECT topic, key, causation_id FROM outbox")
    assert tuple(event_row) == (REFUNDS_TOPIC, str(refund.request.order_id), "event-1")


async def test_without_an_email_address_no_confirmation_is_sent(pool: Pool, refund_job: RefundJob) -> None:
    refund = await open_refund(pool, customer_email=None)
    async with running_worker(pool, refund_job):
        await job_in_state(pool, refund, "done")
    assert await pool.fetchval("SELECT count(*) FROM jobs") == 1


async def test_a_gateway_that_fails_twice_refunds_once_at_the_third_attempt(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob
) -> None:
    refund = await open_refund(pool)
    await sandbox.fail("fail", 2, refund.reference)
    async with running_worker(pool, refund_job):
        await job_in_state(pool, refund, "done")

    assert len(await sandbox.refunds(refund.request.payment_reference)) == 1
    error = "GatewayError: 500 APIError: An unknown error occurred."
    failed = ("failed", f"GatewayFailure: {error}; a look-up shows that nothing was made")
    assert counted(await job_of(pool, refund)) == [failed, failed, ("succeeded", None)]
    assert await sandbox.keys(refund.request.payment_reference) == [refund.idempotency_key] * 3
    assert (await row_of(pool, refund.id))["attempts"] == 3


async def test_a_refund_fails_permanently_after_six_attempts_and_succeeds_after_a_replay(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob
) -> None:
    refund = await open_refund(pool)
    count_before = outcome_count("failed")
    await sandbox.fail("fail", None, refund.reference)
    with structlog.testing.capture_logs() as logs:
        async with running_worker(pool, refund_job):
            job = await job_in_state(pool, refund, "dead")

    assert [outcome for outcome, _ in counted(job)] == ["failed"] * 6
    waits = [wait for (outcome, _), wait in zip(job.attempts, job.waits, strict=False) if outcome == "failed"]
    assert all(wait >= units * RETRY_UNIT for wait, units in zip(waits, (2, 4, 8, 16, 32), strict=True)), waits
    assert await sandbox.refunds(refund.request.payment_reference) == []

    row = await row_of(pool, refund.id)
    assert (row["status"], row["transaction_id"], row["attempts"]) == ("FAILED", None, 6)
    assert (await audit_and_events(pool, "REFUND", str(refund.id))).events == [
        ("refund.processing", 1),
        ("refund.failed", 2),
    ]
    assert (await last_event(pool, str(refund.id)))["error"] == row["error"]
    dead_letter = await pool.fetchrow("SELECT * FROM outbox WHERE topic = $1", dead_letter_topic("refunds"))
    assert dead_letter is not None
    assert json.loads(dead_letter["payload"])["payload"] == {"refund_id": str(refund.id)}
    (alert,) = [line for line in logs if line["log_level"] == "critical"]
    assert (alert["refund_id"], alert["attempts"]) == (str(refund.id), len(job.attempts))
    assert outcome_count("failed") == count_before + 1

    await sandbox.mend()
    await replay(pool, job.id)
    async with running_worker(pool, refund_job):
        await job_in_state(pool, refund, "done")

    (provider_refund,) = await sandbox.refunds(refund.request.payment_reference)
    row = await row_of(pool, refund.id)
    assert (row["status"], row["transaction_id"], row["error"]) == ("SUCCEEDED", provider_refund["id"], None)
    stored_rows = await audit_and_events(pool, "REFUND", str(refund.id))
    assert stored_rows.events == [("refund.processing", 1), ("refund.failed", 2), ("refund.succeeded", 3)]
    once_more = ["CALLING", "UNKNOWN", "READY"]
    assert [new for _, new, _ in stored_rows.transitions] == [
        "READY",
        *["UNKNOWN", "READY", *once_more * 5],
        *["FAILED", "CALLING", "SUCCEEDED"],
    ]


async def test_a_refund_whose_response_was_lost_is_found_and_not_requested_again(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob
) -> None:
    refund = await open_refund(pool)
    await sandbox.fail("timeout_after_apply", 1, refund.reference)
    async with running_worker(pool, refund_job):
        job = await job_in_state(pool, refund, "done")

    (provider_refund,) = await sandbox.refunds(refund.request.payment_reference)
    assert (await row_of(pool, refund.id))["transaction_id"] == provider_refund["id"]
    assert await sandbox.calls(refund.request.payment_reference) == ["applied", "listed"]
    assert [outcome for outcome, _ in job.attempts] == ["handed_back", "succeeded"]
    assert "OutcomeUnknown: no answer" in (job.attempts[0][1] or "")


async def test_a_lost_request_is_sent_again_with_the_same_key(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob
) -> None:
    refund = await open_refund(pool)
    await sandbox.fail("timeout_before_apply", 1, refund.reference)
    async with running_worker(pool, refund_job):
        await job_in_state(pool, refund, "done")
    calls = await sandbox.calls(refund.request.payment_reference)
    assert (calls[0], set(calls[1:-1]), calls[-1]) == ("lost", {"listed"}, "applied")
    assert await sandbox.keys(refund.request.payment_reference) == [refund.idempotency_key] * 2


async def test_a_decline_is_final_immediately_and_a_replay_uses_a_new_key(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob
) -> None:
    refund = await open_refund(pool)
    await sandbox.fail("decline", 1, refund.reference)
    async with running_worker(pool, refund_job):
        job = await job_in_state(pool, refund, "dead")
        assert job.attempts == [
            ("failed", "Declined: 402 card_declined: The refund was declined by the card's issuer.")
        ]

        await replay(pool, job.id)
        await job_in_state(pool, refund, "done")

    assert len(await sandbox.refunds(refund.request.payment_reference)) == 1
    first = refund.idempotency_key
    assert await sandbox.keys(refund.request.payment_reference) == [first, f"{first}-1"]


async def test_a_key_without_a_response_is_used_again_because_its_calls_may_still_arrive(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    await gateway.fail("arrive_late", 2)
    async with running_worker(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")

    gateway.deliver_late_calls()

    assert len(await gateway.refunds(refund.request.payment_reference)) == 1


async def test_a_key_whose_last_call_was_lost_after_an_error_is_used_again(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    await gateway.fail("fail_for_good", 1)
    job = await claim_job(pool, refund)
    with pytest.raises(Postponed, match="GatewayError: 500"):
        await complete(RefundJob(gateway), job)
    async with transaction(pool) as connection:
        await endings.postpone(connection, job, "500", timedelta(0))
    gateway.forget_keys()
    await gateway.fail("arrive_late", 2)
    async with running_worker(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")

    gateway.deliver_late_calls()

    assert len(await gateway.refunds(refund.request.payment_reference)) == 1


async def test_a_rejection_because_the_refund_already_exists_is_no_failure(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob, stripe_gateway: StripeGateway
) -> None:
    """This happens after a restore from a backup without the refund, when the gateway has deleted the key."""
    refund = await open_refund(pool)
    payment = refund.request.payment_reference
    await sandbox.declare_capture(payment, 7906, "EUR")
    provider_refund = await stripe_gateway.refund(RefundCall.of(replace(refund, key_epoch=9)))
    async with running_worker(pool, refund_job):
        await job_in_state(pool, refund, "done")

    assert await sandbox.calls(payment) == ["applied", "refused", "listed"]
    assert (await row_of(pool, refund.id))["transaction_id"] == provider_refund.id


async def test_an_amount_that_the_gateway_cannot_represent_fails_immediately(
    pool: Pool, sandbox: PaymentSandbox, refund_job: RefundJob
) -> None:
    refund = await open_refund(pool, amount=Decimal("12.345"), currency="KWD")
    async with running_worker(pool, refund_job):
        job = await job_in_state(pool, refund, "dead")
    assert job.attempts == [("failed", "Declined: Stripe refunds KWD with two decimals only, not 12.345")]
    assert await sandbox.keys(refund.request.payment_reference) == []


async def test_a_worker_that_was_paused_past_its_lease_writes_nothing(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    job = RefundJob(gateway)
    paused_job = await claim_job(pool, refund)
    await pool.execute("UPDATE jobs SET state = 'ready', leased_until = NULL")
    await complete(job, await claim_job(pool, refund))
    before = await audit_and_events(pool, "REFUND", str(refund.id))

    with pytest.raises(LeaseLost):
        await complete(job, paused_job)

    assert await audit_and_events(pool, "REFUND", str(refund.id)) == before
    assert len(await gateway.refunds(refund.request.payment_reference)) == 1


async def test_a_paused_worker_does_not_reopen_a_refund_that_failed_in_the_meantime(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), FakePaymentGateway()
    job = RefundJob(gateway)
    await gateway.fail("decline")
    async with running_worker(pool, job):
        dead_job = await job_in_state(pool, refund, "dead")
    await replay(pool, dead_job.id)
    paused_job = await claim_job(pool, refund)
    await pool.execute("UPDATE jobs SET state = 'dead', leased_until = NULL")

    with pytest.raises(LeaseLost):
        await complete(job, paused_job)

    row = await row_of(pool, refund.id)
    assert (row["status"], row["key_epoch"]) == ("DECLINED", 0)


async def test_a_job_without_its_refund_is_an_error(pool: Pool) -> None:
    refund = await open_refund(pool)
    job = await claim_job(pool, refund)
    async with transaction(pool) as connection:
        await connection.execute("DELETE FROM refunds")
    with pytest.raises(LookupError, match=f"no refund {refund.id}"):
        await complete(RefundJob(FakePaymentGateway()), job)
