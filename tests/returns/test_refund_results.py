"""Results of refunds on their returns: the newest state counts, and each change is in the history."""

from typing import Any
from uuid import uuid4

import pytest
from common.database.transactions import Pool, transaction
from common.messaging.incoming.records import EventHandler, Incoming
from returns.consumer import EVENT_HANDLERS
from returns.events import RefundView
from support.example.returns import open_in, order_event, refund_result
from support.gateway.application import Gateway
from support.postgres.audit_and_events import audit_and_events


async def record_refund(pool: Pool, refund: dict[str, Any], outcome: str, sequence: int) -> None:
    event_type = f"refund.{outcome.lower()}"
    handler: EventHandler[RefundView] = EVENT_HANDLERS[event_type]
    event = order_event(refund["order_id"], event_type=event_type, sequence=sequence)
    async with transaction(pool) as connection:
        await handler.process(connection, [Incoming(event, RefundView.model_validate(refund))])


async def test_a_late_failure_event_does_not_undo_a_success(gateway: Gateway) -> None:
    completed = await open_in(gateway, "COMPLETED")
    await record_refund(gateway.pool, refund_result(completed, "SUCCEEDED", "re_1"), "SUCCEEDED", 3)
    current = (await gateway.get(f"/returns/{completed['id']}")).json()
    before = await audit_and_events(gateway.pool, "RETURN", completed["id"])
    await record_refund(gateway.pool, refund_result(completed, "PENDING"), "PROCESSING", 1)
    await record_refund(gateway.pool, refund_result(completed, "FAILED"), "FAILED", 2)
    await record_refund(gateway.pool, refund_result(completed, "SUCCEEDED", "re_2"), "SUCCEEDED", 3)
    assert (await gateway.get(f"/returns/{completed['id']}")).json() == current
    assert (current["refund_status"], current["refund_transaction_id"]) == ("SUCCEEDED", "re_1")
    assert await audit_and_events(gateway.pool, "RETURN", completed["id"]) == before


async def test_the_state_of_a_refund_follows_its_events(gateway: Gateway) -> None:
    completed = await open_in(gateway, "COMPLETED")
    steps = (
        ("PROCESSING", None, None),
        ("FAILED", None, None),
        ("SUCCEEDED", "re_1", "re_1"),
        ("REVERSED", None, "re_1"),
        ("SUCCEEDED", "by hand", "by hand"),
    )
    for number, (outcome, transaction_id, shown) in enumerate(steps, 1):
        await record_refund(gateway.pool, refund_result(completed, outcome, transaction_id), outcome, number)
        current = (await gateway.get(f"/returns/{completed['id']}")).json()
        assert (current["refund_status"], current["refund_transaction_id"]) == (outcome, shown)
        assert current["version"] == completed["version"] + number


async def test_a_refund_of_an_unknown_return_is_an_error(gateway: Gateway) -> None:
    refund = refund_result({"order_id": str(uuid4()), "id": str(uuid4())}, "SUCCEEDED", "re_1")
    with pytest.raises(LookupError, match="unknown return"):
        await record_refund(gateway.pool, refund, "SUCCEEDED", 1)
