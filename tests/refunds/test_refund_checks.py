"""The checks of refunds: a refund whose job was lost gets a job again, and one that waits too long is named."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from common.database.transactions import Pool, transaction
from prometheus_client import REGISTRY
from refunds.checks import refund_checks
from refunds.domain.refund import Refund
from refunds.payment_gateway.port import (
    DisputeStatus,
    GatewayEvent,
    PaymentDisputed,
)
from refunds.repository import provider
from refunds.use_cases import settlement
from refunds.use_cases.jobs import EVENT_JOB
from refunds.worker.event_job import EventJob
from support.example.refunds import EVENT, claim_job, job_of, open_refund
from support.metrics.moved import moves
from support.payments.provider_events import applied, dispute_of, event_of, is_in, no_events_left, received, running
from support.reconciliation.rounds import discrepancies, reconcile
from support.waiting import eventually

NOW = timedelta(0)


async def test_a_refund_whose_job_was_deleted_gets_a_new_one(pool: Pool) -> None:
    refund = await open_refund(pool)
    await open_refund(pool)
    assert await reconcile(pool, refund_checks(limit=NOW)) == []
    await pool.execute("DELETE FROM jobs WHERE business_key = $1", refund.reference)

    assert await reconcile(pool, refund_checks()) == []  # it is less than a minute old
    assert await reconcile(pool, refund_checks(limit=NOW)) == [("refund_without_job", str(refund.id))]

    assert (await job_of(pool, refund)).state == "ready"
    assert await reconcile(pool, refund_checks(limit=NOW)) == []
    [row] = await discrepancies(pool)
    assert (row["repairs"], row["key"]) == (1, str(refund.request.order_id))


async def test_a_refund_that_is_being_made_or_waits_for_an_operator_is_no_finding(pool: Pool) -> None:
    running = await open_refund(pool)
    await claim_job(pool, running)
    dead = await open_refund(pool)
    await pool.execute("UPDATE jobs SET state = 'dead' WHERE business_key = $1", dead.reference)
    assert await reconcile(pool, refund_checks(limit=NOW)) == []


async def test_a_refund_whose_job_was_discarded_is_named_and_not_made(pool: Pool) -> None:
    refund = await open_refund(pool)
    await pool.execute("UPDATE jobs SET state = 'discarded' WHERE business_key = $1", refund.reference)
    expected = [("refund_without_job", str(refund.id))]
    assert await reconcile(pool, refund_checks(limit=NOW)) == expected
    assert await reconcile(pool, refund_checks(limit=NOW)) == expected
    assert await pool.fetchval("SELECT state FROM jobs WHERE business_key = $1", refund.reference) == "discarded"


def owed(*refunds: Refund) -> list[tuple[str, str]]:
    return sorted(("refund_owed", str(each.id)) for each in refunds)


async def ended_refund(pool: Pool, status: str, job: str) -> Refund:
    """Of two minutes ago, with its job in this state."""
    refund = await open_refund(pool)
    made = ", completed_at = now(), transaction_id = 're_' || id" if status == "REVERSED" else ""
    await pool.execute(
        f"UPDATE refunds SET status = $2, error = 'the account is closed', attempts = 1,"  # noqa: S608
        f" called_at = now() - interval '2 minutes'{made} WHERE id = $1",
        refund.id,
        status,
    )
    await pool.execute("UPDATE jobs SET state = $2 WHERE business_key = $1", refund.reference, job)
    return refund


async def settle(pool: Pool, refund: Refund) -> None:
    async with transaction(pool) as connection:
        await settlement.settle_refund(connection, refund.id, f"transfer-{refund.id}", "by a bank transfer", EVENT)


async def dispute_lost(pool: Pool, refund: Refund, amount: Decimal) -> None:
    async with transaction(pool) as connection:
        reference, currency = refund.request.payment_reference, refund.request.currency
        lost = PaymentDisputed(f"du_{refund.id}", reference, amount, currency, DisputeStatus.LOST, reason=None)
        await provider.merge_dispute(connection, lost)


@pytest.mark.parametrize("status", ["DECLINED", "FAILED"])
async def test_a_declined_refund_whose_job_was_discarded_is_named_until_it_is_settled(pool: Pool, status: str) -> None:
    refund = await ended_refund(pool, status, "discarded")
    assert await reconcile(pool, refund_checks()) == owed(refund)
    assert await reconcile(pool, refund_checks()) == owed(refund)
    # To call the provider about it again is a decision of people.
    assert await pool.fetchval("SELECT state FROM jobs WHERE business_key = $1", refund.reference) == "discarded"
    [row] = await discrepancies(pool)
    assert (row["repairs"], row["key"]) == (0, str(refund.request.order_id))

    await settle(pool, refund)
    assert await reconcile(pool, refund_checks()) == []


async def test_a_refund_that_the_provider_took_back_is_named_until_it_is_settled(pool: Pool) -> None:
    refund = await ended_refund(pool, "REVERSED", "done")
    assert await reconcile(pool, refund_checks()) == owed(refund)
    await settle(pool, refund)
    assert await reconcile(pool, refund_checks()) == []


async def test_a_declined_refund_with_a_dead_job_or_a_lost_dispute_is_not_named_twice(pool: Pool) -> None:
    for status, job in (("DECLINED", "dead"), ("FAILED", "ready"), ("DECLINED", "running")):
        await ended_refund(pool, status, job)
    for status, job in (("DECLINED", "done"), ("REVERSED", "done")):
        refund = await ended_refund(pool, status, job)
        await dispute_lost(pool, refund, refund.request.amount)
    assert await reconcile(pool, refund_checks()) == []

    # Where the bank has paid a part, the rest is owed.
    refund = await ended_refund(pool, "FAILED", "discarded")
    await dispute_lost(pool, refund, refund.request.amount - 1)
    assert await reconcile(pool, refund_checks()) == owed(refund)


@moves("refunds_unknown_age_seconds")
async def test_the_age_of_the_outcome_that_is_unknown_for_longest_is_shown(pool: Pool) -> None:
    refunds = [await open_refund(pool) for _ in range(3)]
    await reconcile(pool, refund_checks())
    assert REGISTRY.get_sample_value("refunds_unknown_age_seconds") == 0

    for refund, status, minutes in zip(refunds, ("UNKNOWN", "CALLING", "PENDING"), (5, 20, 60), strict=True):
        await pool.execute(
            "UPDATE refunds SET status = $2, called_at = now() - $3::interval WHERE id = $1",
            *(refund.id, status, timedelta(minutes=minutes)),
        )
    await reconcile(pool, refund_checks())
    age = REGISTRY.get_sample_value("refunds_unknown_age_seconds")
    assert age is not None
    assert 20 * 60 <= age < 25 * 60


async def test_a_refund_whose_outcome_stays_unknown_and_one_that_stays_pending_are_named(pool: Pool) -> None:
    unknown, pending, recent, calling = [await open_refund(pool) for _ in range(4)]
    set_state = "UPDATE refunds SET status = $2, called_at = now() - $3::interval WHERE id = $1"
    await pool.execute(set_state, unknown.id, "UNKNOWN", timedelta(hours=3))
    await pool.execute(set_state, pending.id, "PENDING", timedelta(days=8))
    await pool.execute(set_state, recent.id, "UNKNOWN", timedelta(minutes=3))
    await pool.execute(set_state, calling.id, "CALLING", timedelta(hours=3))
    expected = {("refund_pending", pending.id), ("refund_unknown", unknown.id), ("refund_unknown", calling.id)}
    assert set(await reconcile(pool, refund_checks())) == {(check, str(each)) for check, each in expected}


async def test_a_refund_is_named_for_whose_calls_the_gateway_has_had_no_answer_for_two_hours(pool: Pool) -> None:
    long, recent, unknown = [await open_refund(pool) for _ in range(3)]
    set_state = (
        "UPDATE refunds SET status = $2, called_at = now() - $3::interval, unreached_since = now() - $4::interval"
        " WHERE id = $1"
    )
    hours, minute = timedelta(hours=3), timedelta(minutes=1)
    await pool.execute(set_state, long.id, "READY", minute, hours)
    await pool.execute(set_state, recent.id, "READY", minute, timedelta(hours=1))
    # Its look-ups have no answer either.
    await pool.execute(set_state, unknown.id, "UNKNOWN", hours, hours)
    expected = [("refund_unknown", str(unknown.id)), ("refund_unreached", str(long.id))]
    assert await reconcile(pool, refund_checks()) == expected


async def test_an_acknowledged_refund_that_is_not_reached_stays_acknowledged_while_only_its_error_changes(
    pool: Pool,
) -> None:
    refund = await open_refund(pool)
    set_state = "UPDATE refunds SET status = $1, called_at = now(), unreached_since = $2, error = $3"
    since = datetime.now(UTC) - timedelta(hours=3)
    await pool.execute(set_state, "READY", since, "GatewayUnavailable: not reached")
    expected = [("refund_unreached", str(refund.id))]
    assert await reconcile(pool, refund_checks()) == expected
    await pool.execute("UPDATE discrepancies SET acknowledged_at = now()")

    async def is_acknowledged() -> bool:
        assert await reconcile(pool, refund_checks()) == expected
        [row] = await discrepancies(pool)
        return row["acknowledged_at"] is not None

    await pool.execute(set_state, "UNKNOWN", since, "OutcomeUnknown: 503: maintenance")
    assert await is_acknowledged()
    await pool.execute(set_state, "READY", since + timedelta(minutes=30), "GatewayUnavailable: not reached")
    assert not await is_acknowledged(), "it was reached in between"


async def test_a_held_refund_is_named_unless_it_waits_for_the_end_of_a_dispute(pool: Pool) -> None:
    held, disputed = [await open_refund(pool) for _ in range(2)]
    await pool.execute("UPDATE refunds SET status = 'HELD', created_at = now() - interval '2 minutes'")
    dispute = PaymentDisputed(
        "du_1", disputed.request.payment_reference, Decimal(1), "EUR", DisputeStatus.OPENED, reason=None
    )
    async with transaction(pool) as connection:
        await provider.merge_dispute(connection, dispute)
    assert await reconcile(pool, refund_checks()) == [("refund_held", str(held.id))]


def event_without_job(event: GatewayEvent) -> list[tuple[str, str]]:
    return [("provider_event_without_job", f"fake:{event.id}")]


async def test_an_event_of_the_provider_whose_job_was_deleted_gets_a_new_one_and_is_applied(pool: Pool) -> None:
    refund = await open_refund(pool)
    event = event_of(dispute_of(refund, DisputeStatus.OPENED))
    await received(pool, event)
    assert await reconcile(pool, refund_checks(limit=NOW)) == []
    await pool.execute("DELETE FROM jobs WHERE kind = $1", EVENT_JOB)
    assert not await received(pool, event), "a repeated webhook makes no job"

    assert await reconcile(pool, refund_checks()) == []  # it is less than a minute old
    assert await reconcile(pool, refund_checks(limit=NOW)) == event_without_job(event)
    async with running(pool, EventJob()):
        await eventually(is_in(pool, refund, "HELD"))
    assert await reconcile(pool, refund_checks(limit=NOW)) == []
    [row] = await discrepancies(pool)
    assert (row["repairs"], row["repair_error"]) == (1, None)


async def test_an_event_that_is_repeated_until_its_payment_comes_is_found_when_the_repeat_is_deleted(
    pool: Pool,
) -> None:
    event = event_of(PaymentDisputed("du_1", "pi_1", Decimal("79.06"), "EUR", DisputeStatus.OPENED, reason=None))
    await received(pool, event)
    async with running(pool, EventJob()):
        await no_events_left(pool)
        assert await reconcile(pool, refund_checks(limit=NOW)) == []
    deleted = await pool.fetchval("DELETE FROM jobs WHERE state <> 'done' RETURNING business_key")
    refund = await open_refund(pool, payment_reference="pi_1")

    assert await reconcile(pool, refund_checks(limit=NOW)) == event_without_job(event)
    assert (
        await pool.fetchval("SELECT business_key FROM jobs WHERE kind = $1 AND state <> 'done'", EVENT_JOB) == deleted
    )
    async with running(pool, EventJob()):
        await eventually(is_in(pool, refund, "HELD"))
    assert await reconcile(pool, refund_checks(limit=NOW)) == []


async def test_an_event_that_was_applied_or_waits_for_an_operator_is_no_finding(pool: Pool) -> None:
    refund = await open_refund(pool)
    await applied(pool, dispute_of(refund, DisputeStatus.OPENED))
    await pool.execute("DELETE FROM jobs WHERE kind = $1", EVENT_JOB)  # as after its retention
    for state in ("running", "dead", "discarded"):
        event = event_of(dispute_of(refund, DisputeStatus.OPENED))
        await received(pool, event)
        await pool.execute("UPDATE jobs SET state = $2 WHERE business_key = $1", f"fake:{event.id}", state)
    await pool.execute(
        "INSERT INTO provider_events (provider, event_id, event) VALUES ('fake', 'earlier version', '{}')"
    )
    assert await reconcile(pool, refund_checks(limit=NOW)) == []
