"""Work that an operator has stopped is explained by that, and not by an outage of the payment gateway or as lost."""

import pytest
from support.explanations.rarer_causes import RARER_CASES
from support.explanations.scene import Scene

FAILURES_IN_A_ROW = 3
PAUSED = "INSERT INTO paused_kinds (kind, reason, paused_by) VALUES ('refund', 'the provider changes its keys', 'eve')"
DISCARDED = "state = 'discarded', finished_at = now(), discarded_reason = 'paid in cash', discarded_by = 'eve'"
DISCARDED_RECORD = next(each for each in RARER_CASES if each.cause == "record-discarded")

pytestmark = pytest.mark.timeout(240)


async def gateway_fails(scene: Scene) -> None:
    for _ in range(FAILURES_IN_A_ROW):
        await scene.answer_of_gateway("UNAVAILABLE", "ConnectTimeout")


async def test_a_refund_of_a_paused_kind_is_explained_by_the_pause_while_the_gateway_does_not_answer(
    scene: Scene,
) -> None:
    ready, unknown = await scene.cancelled(), await scene.refunding("UNKNOWN", error="timeout")
    pending, held = await scene.refunding("PENDING", transaction_id="re_1"), await scene.refunding("HELD", error="?")
    await gateway_fails(scene)
    assert "gateway-down" in await scene.findings(ready)

    await scene.sql("refunds", PAUSED)
    found = await scene.findings(ready)
    assert found["kind-paused"]["next"].startswith("No worker claims the job until an operator resumes the kind")
    assert "gateway-down" not in found
    found = await scene.findings(unknown)
    assert {"kind-paused", "refund-unknown"} <= set(found)
    assert found["refund-unknown"]["next_at"] is None
    assert "when the kind of its job is resumed" in found["refund-unknown"]["next"]
    found = await scene.findings(pending)
    assert (found["refund-pending-at-provider"]["next_at"], "kind-paused" in found) == (None, True)
    found = await scene.findings(held)
    assert found["refund-held"]["next"].startswith("Nothing happens until an operator lets its job run again")


async def test_a_discarded_refund_job_is_named_while_the_gateway_does_not_answer(scene: Scene) -> None:
    ready, unknown = await scene.cancelled(), await scene.refunding("UNKNOWN", error="timeout")
    declined = await scene.refunding("DECLINED", error="the card is closed")
    for order in (ready, unknown, declined):
        await scene.job("refunds", order, DISCARDED)
    await gateway_fails(scene)

    found = await scene.findings(ready)
    assert ("job-discarded" in found, "gateway-down" in found) == (True, False)
    found = await scene.findings(unknown)
    assert {"job-discarded", "refund-unknown-for-good"} <= set(found)
    assert "an operator has discarded its job" in found["refund-unknown-for-good"]["headline"]
    found = await scene.findings(declined)
    assert "job-discarded" in found
    assert found["refund-declined"]["actions"][0]["label"] == "Replay the job"


async def test_a_discarded_record_is_named_as_discarded_and_not_as_lost(scene: Scene) -> None:
    order = await DISCARDED_RECORD.inject(scene)
    await scene.sql("invoicing", "UPDATE consumer_positions SET caught_up_at = now() + interval '1 minute'")
    found = await scene.findings(order)
    assert "event-lost" not in found
    discarded = found["record-discarded"]
    assert "has discarded the record of this order from articurated.orders" in discarded["headline"]
    assert "a test order" in discarded["headline"]
    assert discarded["next"].startswith("This record is not processed again. What is owed stays owed.")


async def test_a_record_that_was_discarded_before_the_event_does_not_explain_it(scene: Scene) -> None:
    order = await DISCARDED_RECORD.inject(scene)
    await scene.sql("invoicing", "UPDATE poison SET created_at = now() - interval '1 minute'")
    await scene.sql("invoicing", "UPDATE consumer_positions SET caught_up_at = now() + interval '1 minute'")
    found = await scene.findings(order)
    assert ("event-lost" in found, "record-discarded" in found) == (True, False)
