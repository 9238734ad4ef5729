"""The checks of refunds: a refund whose job was lost is named, and gets a job again."""

from datetime import timedelta

from common.database.transactions import Pool
from refunds.checks import refund_checks
from support.example.refunds import claim_job, job_of, open_refund
from support.reconciliation.rounds import discrepancies, reconcile

NOW = timedelta(0)


async def test_a_refund_whose_job_was_deleted_gets_a_new_one(pool: Pool) -> None:
    refund = await open_refund(pool)
    await open_refund(pool)
    assert await reconcile(pool, refund_checks(NOW)) == []
    await pool.execute("DELETE FROM jobs WHERE business_key = $1", refund.reference)

    assert await reconcile(pool, refund_checks()) == []  # it is less than a minute old
    assert await reconcile(pool, refund_checks(NOW)) == [("refund_without_job", str(refund.id))]

    assert (await job_of(pool, refund)).state == "ready"
    assert await reconcile(pool, refund_checks(NOW)) == []
    [row] = await discrepancies(pool)
    assert (row["repairs"], row["key"]) == (1, str(refund.request.order_id))


async def test_a_refund_that_is_being_made_or_waits_for_an_operator_is_no_finding(pool: Pool) -> None:
    running = await open_refund(pool)
    await claim_job(pool, running)
    dead = await open_refund(pool)
    await pool.execute("UPDATE jobs SET state = 'dead' WHERE business_key = $1", dead.reference)
    assert await reconcile(pool, refund_checks(NOW)) == []
