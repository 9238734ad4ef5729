"""Explanations of events that are published or read late, and of the time at which the reconciler repeats them."""

from datetime import UTC, datetime

import pytest
from support.explanations.scene import Scene

pytestmark = pytest.mark.timeout(240)
BEHIND = "UPDATE consumer_positions SET reported_at = now(), caught_up_at = now() - interval '6 s', lag = 500"
CAUGHT_UP = "UPDATE consumer_positions SET reported_at = now(), caught_up_at = now(), lag = 3"


async def unread_cancellation(scene: Scene) -> str:
    order = await scene.order("PAID", published=False)
    await scene.gateways["orders"].post(f"/orders/{order}/cancel", {"reason": "changed her mind"})
    await scene.publish(order)
    return order


async def test_an_event_that_was_published_late_is_not_lost_while_its_consumer_is_behind(scene: Scene) -> None:
    """The relay was down for an hour; the consumer has caught up since then with what came before the event."""
    order = await unread_cancellation(scene)
    await scene.waiting_event(order, seconds=3600)

    await scene.sql("refunds", BEHIND)
    assert {"consumer-lagging"} <= set(found := await scene.findings(order))
    assert "event-lost" not in found

    await scene.sql("refunds", CAUGHT_UP)
    assert "event-lost" in await scene.findings(order)


async def test_the_reconciler_asks_for_a_refund_again_some_time_after_the_cancellation(scene: Scene) -> None:
    order = await unread_cancellation(scene)
    await scene.sql("orders", "UPDATE payments SET reported_at = now() - interval '3 days'")
    await scene.waiting_event(order, seconds=60)
    await scene.sql("refunds", CAUGHT_UP)

    lost = (await scene.findings(order))["event-lost"]
    assert datetime.fromisoformat(lost["next_at"]) > datetime.now(UTC)
    assert lost["next"].startswith("The reconciler of orders asks for it again after")


async def test_the_service_that_waits_for_a_result_asks_for_it_again(scene: Scene) -> None:
    order = await scene.refunding("SUCCEEDED", transaction_id="re_1", completed_at=datetime.now(UTC))

    found = await scene.findings(order)
    (missing,) = (each for each in found.values() if "result on the order" in each["headline"])
    assert "reconciler of orders asks for it again" in missing["next"]
