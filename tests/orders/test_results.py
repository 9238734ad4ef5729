"""Results of refunds and invoices are stored on the order, from events that may be repeated or late."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from common.database.transactions import transaction
from common.messaging.envelope import ReceivedEvent
from common.messaging.incoming.records import Incoming
from common.signed_links import SignedLinks
from orders.consumer import EVENT_HANDLERS
from support.events.traceparent import TRACEPARENT
from support.example.orders import place, place_in
from support.gateway.application import Gateway, exact_json
from support.postgres.audit_and_events import audit_and_events, last_event

INVOICE: dict[str, Any] = {
    "invoice_id": "a91de4c5-2c7e-403f-90d1-ea6d6e7c257c",
    "invoice_number": "INV-2026-000001",
    "status": "ISSUED",
    "currency": "EUR",
    "total_amount": "79.06",
    "issued_at": "2026-11-22T10:00:00Z",
    "document": {"sha256": "ab" * 32, "size_bytes": 20_480, "content_type": "application/pdf"},
}


def an_event(event_type: str, order_id: str, sequence: int, data: dict[str, Any], epoch: int = 1) -> ReceivedEvent:
    return ReceivedEvent(
        id=str(uuid4()),
        type=event_type,
        source="/articurated/elsewhere",
        subject=str(uuid4()),
        key=order_id,
        sequence=sequence,
        epoch=epoch,
        time=datetime.now(UTC),
        traceparent=TRACEPARENT,
        causation_id=None,
        data=json.dumps({"order_id": order_id, **data}).encode(),
    )


async def process(gateway: Gateway, *events: ReceivedEvent) -> None:
    """Process one batch in one transaction, as the subscriber does."""
    handler = EVENT_HANDLERS[events[0].type]
    batch = [Incoming(event, handler.view.model_validate_json(event.data)) for event in events]
    async with transaction(gateway.pool) as connection:
        await handler.process(connection, batch)


def a_refund(
    order: dict[str, Any], outcome: str, sequence: int, *, reference: str = "ch_teacups", **changes: Any
) -> ReceivedEvent:
    data = {
        "refund_id": str(uuid4()),
        "cause": "ORDER_CANCELLED",
        "payment_reference": reference,
        "status": {"PROCESSING": "PENDING", "REVERSED": "FAILED"}.get(outcome, outcome),
        "transaction_id": f"re_{sequence}" if outcome == "SUCCEEDED" else None,
        **changes,
    }
    return an_event(f"refund.{outcome.lower()}", order["id"], sequence, data)


async def last_audit_row(gateway: Gateway, order: dict[str, Any]) -> dict[str, Any]:
    history = (await gateway.get(f"/orders/{order['id']}/history?include=all")).json()["data"]
    row: dict[str, Any] = history[-1]
    return row


async def refund_state(gateway: Gateway, order: dict[str, Any]) -> tuple[str, str | None, int]:
    now = (await gateway.get(f"/orders/{order['id']}")).json()
    return now["refund_status"], now["refund_transaction_id"], now["version"] - order["version"]


async def payments_of(gateway: Gateway, order: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    now = (await gateway.get(f"/orders/{order['id']}")).json()
    return [(each["reference"], each["refund_status"], each["refund_transaction_id"]) for each in now["payments"]]


async def test_a_refund_is_shown_on_its_order_and_in_its_history_without_an_event(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED_AFTER_PAYMENT")
    before = await audit_and_events(gateway.pool, "ORDER", order["id"])
    refund = a_refund(order, "SUCCEEDED", 1)
    await process(gateway, refund)
    assert await refund_state(gateway, order) == ("SUCCEEDED", "re_1", 1)
    added = (await audit_and_events(gateway.pool, "ORDER", order["id"])).since(before)
    assert (added.transitions, added.events) == ([("CANCELLED", "CANCELLED", "ACCEPTED")], [])
    row = await last_audit_row(gateway, order)
    assert (row["actor_type"], row["trigger"], row["metadata"]["actor_name"]) == ("SYSTEM", "EVENT", "refund.succeeded")
    assert row["metadata"].items() >= {"refund_status": "SUCCEEDED", "transaction_id": "re_1"}.items()
    transitions = (await gateway.get(f"/orders/{order['id']}/history")).json()["data"]
    assert [each["new_state"] for each in transitions] == ["PAID", "CANCELLED"]


@pytest.mark.parametrize(
    ("outcomes", "shown"),
    [
        (["PROCESSING"], ("PROCESSING", None)),
        (["PROCESSING", "SUCCEEDED"], ("SUCCEEDED", "re_2")),
        (["PROCESSING", "FAILED"], ("FAILED", None)),
        (["SUCCEEDED", "REVERSED"], ("REVERSED", "re_1")),
        (["SUCCEEDED", "REVERSED", "SUCCEEDED"], ("SUCCEEDED", "re_3")),
    ],
)
async def test_the_newest_state_of_a_refund_counts_in_whatever_order_events_come(
    gateway: Gateway, outcomes: list[str], shown: tuple[str, str | None]
) -> None:
    order = await place_in(gateway, "CANCELLED_AFTER_PAYMENT")
    events = [a_refund(order, outcome, number) for number, outcome in enumerate(outcomes, 1)]
    for event in (*events, *reversed(events)):
        await process(gateway, event)
    assert await refund_state(gateway, order) == (*shown, len(events))


async def test_an_event_that_comes_too_late_is_not_in_the_history(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED_AFTER_PAYMENT")
    await process(gateway, a_refund(order, "REVERSED", 3, transaction_id="re_1"))
    before = await audit_and_events(gateway.pool, "ORDER", order["id"])
    for sequence, outcome in ((1, "PROCESSING"), (2, "SUCCEEDED")):
        await process(gateway, a_refund(order, outcome, sequence))
    assert await refund_state(gateway, order) == ("REVERSED", "re_1", 1)
    assert await audit_and_events(gateway.pool, "ORDER", order["id"]) == before


@pytest.mark.parametrize("kind", ["opened", "won", "lost"])
async def test_a_dispute_is_in_the_history_and_changes_nothing_of_the_order(gateway: Gateway, kind: str) -> None:
    order = await place_in(gateway, "SHIPPED")
    before = await audit_and_events(gateway.pool, "ORDER", order["id"])
    dispute = {"payment_reference": "ch_teacups", "dispute_id": "dp_1", "amount": "79.06", "currency": "EUR"}
    await process(gateway, an_event(f"dispute.{kind}", order["id"], 1, dispute | {"reason": "fraudulent"}))
    added = (await audit_and_events(gateway.pool, "ORDER", order["id"])).since(before)
    assert (added.transitions, added.events) == ([("SHIPPED", "SHIPPED", "ACCEPTED")], [])
    row = await last_audit_row(gateway, order)
    assert (row["trigger"], row["metadata"]["actor_name"]) == ("EVENT", f"dispute.{kind}")
    assert row["metadata"].items() >= {**dispute, "reason": "fraudulent"}.items()
    assert (await gateway.get(f"/orders/{order['id']}")).json() == order


async def test_a_dispute_about_an_unknown_order_is_an_error(gateway: Gateway) -> None:
    dispute = {"payment_reference": "ch_1", "dispute_id": "dp_1", "amount": "1.00", "currency": "EUR"}
    with pytest.raises(LookupError):
        await process(gateway, an_event("dispute.opened", str(uuid4()), 1, dispute))


async def test_events_of_orders_have_the_refund_states_of_version_1(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED_AFTER_PAYMENT")
    await process(gateway, a_refund(order, "SUCCEEDED", 1), a_refund(order, "REVERSED", 2))
    await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID", "payment_transaction_id": "ch_late"})
    data = await last_event(gateway.pool, order["id"])
    assert [each["refund_status"] for each in data["payments"]] == ["FAILED", "PENDING"]
    assert data["refund_status"] == "PENDING"


async def test_a_failed_refund_that_is_replayed_succeeds(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED_AFTER_PAYMENT")
    await process(gateway, a_refund(order, "FAILED", 1))
    assert await refund_state(gateway, order) == ("FAILED", None, 1)
    await process(gateway, a_refund(order, "SUCCEEDED", 2))
    assert await refund_state(gateway, order) == ("SUCCEEDED", "re_2", 2)


async def test_a_late_failure_event_does_not_undo_the_success(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED_AFTER_PAYMENT")
    failed, succeeded = a_refund(order, "FAILED", 1), a_refund(order, "SUCCEEDED", 2)
    for event in (succeeded, failed, succeeded):
        await process(gateway, event)
    assert await refund_state(gateway, order) == ("SUCCEEDED", "re_2", 1)


async def test_after_a_restore_a_lower_sequence_of_a_higher_epoch_is_newer(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED_AFTER_PAYMENT")
    await process(gateway, a_refund(order, "FAILED", 9))
    await process(gateway, replace(a_refund(order, "SUCCEEDED", 1), epoch=2))
    assert await refund_state(gateway, order) == ("SUCCEEDED", "re_1", 2)


async def test_of_a_failure_and_a_success_in_one_batch_the_later_counts(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED_AFTER_PAYMENT")
    await process(gateway, a_refund(order, "FAILED", 1), a_refund(order, "SUCCEEDED", 2))
    assert await refund_state(gateway, order) == ("SUCCEEDED", "re_2", 2)


async def test_each_of_two_payments_is_refunded(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED_AFTER_PAYMENT")
    await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID", "payment_transaction_id": "ch_late"})
    await process(gateway, a_refund(order, "SUCCEEDED", 1))
    assert await refund_state(gateway, order) == ("PENDING", "re_1", 2)
    await process(gateway, a_refund(order, "SUCCEEDED", 2, reference="ch_late", cause="LATE_PAYMENT"))
    assert await refund_state(gateway, order) == ("SUCCEEDED", "re_2", 3)


@pytest.mark.parametrize("state", ["PAID", "PROCESSING_IN_WAREHOUSE", "SHIPPED", "DELIVERED"])
async def test_the_refund_of_a_surplus_payment_is_shown_only_on_the_payment(gateway: Gateway, state: str) -> None:
    order = await place_in(gateway, state)
    await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID", "payment_transaction_id": "ch_second"})
    before = await audit_and_events(gateway.pool, "ORDER", order["id"])
    await process(gateway, a_refund(order, "FAILED", 1, reference="ch_second", cause="LATE_PAYMENT"))
    assert await payments_of(gateway, order) == [("ch_teacups", "NONE", None), ("ch_second", "FAILED", None)]
    await process(gateway, a_refund(order, "SUCCEEDED", 2, reference="ch_second", cause="LATE_PAYMENT"))
    assert await payments_of(gateway, order) == [("ch_teacups", "NONE", None), ("ch_second", "SUCCEEDED", "re_2")]
    assert await refund_state(gateway, order) == ("NONE", None, 3)
    assert (await audit_and_events(gateway.pool, "ORDER", order["id"])).since(before).transitions == [
        (state, state, "ACCEPTED")
    ] * 2


async def test_a_surplus_payment_does_not_count_in_the_refund_status_of_a_cancelled_order(gateway: Gateway) -> None:
    order = await place_in(gateway, "PAID")
    await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID", "payment_transaction_id": "ch_second"})
    await gateway.post(f"/orders/{order['id']}/cancel", {"reason": "paid twice"})
    await process(gateway, a_refund(order, "FAILED", 1, reference="ch_second", cause="LATE_PAYMENT"))
    assert await refund_state(gateway, order) == ("PENDING", None, 3)
    await process(gateway, a_refund(order, "SUCCEEDED", 2))
    assert await refund_state(gateway, order) == ("SUCCEEDED", "re_2", 4)
    assert await payments_of(gateway, order) == [("ch_teacups", "SUCCEEDED", "re_2"), ("ch_second", "FAILED", None)]


@pytest.mark.parametrize("reference_kind", ["first_reference", "id"])
async def test_a_refund_is_assigned_to_its_payment_by_either_reference(gateway: Gateway, reference_kind: str) -> None:
    order = await place(gateway)
    for change in ({"new_state": "PAID"}, {"new_state": "CANCELLED", "reason": "no"}):
        order = (await gateway.patch(f"/orders/{order['id']}/state", change)).json()
    await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID", "payment_transaction_id": "ch_teacups"})
    reference = f"order-{order['id']}" if reference_kind == "first_reference" else "ch_teacups"
    await process(gateway, a_refund(order, "SUCCEEDED", 1, reference=reference))
    assert await payments_of(gateway, order) == [("ch_teacups", "SUCCEEDED", "re_1")]
    assert await refund_state(gateway, order) == ("SUCCEEDED", "re_1", 2)


async def test_the_refund_of_a_part_is_only_in_the_history(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED_AFTER_PAYMENT")
    part = a_refund(order, "SUCCEEDED", 1, cause="LATE_PAYMENT", amount="5.00")
    await process(gateway, part)
    assert await refund_state(gateway, order) == ("PENDING", None, 0)
    row = await last_audit_row(gateway, order)
    assert (row["metadata"]["part_refund_status"], row["metadata"]["amount"]) == ("SUCCEEDED", "5.00")

    await process(gateway, a_refund(order, "SUCCEEDED", 2, amount=str(order["total_amount"])))
    assert (await refund_state(gateway, order))[:2] == ("SUCCEEDED", "re_2")


async def test_the_id_of_a_payment_that_is_refunded_already_needs_no_event(gateway: Gateway) -> None:
    order = await place(gateway)
    for change in ({"new_state": "PAID"}, {"new_state": "CANCELLED", "reason": "no"}):
        order = (await gateway.patch(f"/orders/{order['id']}/state", change)).json()
    await process(gateway, a_refund(order, "SUCCEEDED", 1, reference=f"order-{order['id']}"))
    before = await audit_and_events(gateway.pool, "ORDER", order["id"])
    body = {"new_state": "PAID", "payment_transaction_id": "ch_teacups"}
    assert (await gateway.patch(f"/orders/{order['id']}/state", body)).status_code == 200
    assert await audit_and_events(gateway.pool, "ORDER", order["id"]) == before
    assert await payments_of(gateway, order) == [("ch_teacups", "SUCCEEDED", "re_1")]


async def test_the_refund_of_a_return_does_not_change_the_order(gateway: Gateway) -> None:
    order = await place_in(gateway, "DELIVERED")
    await process(gateway, a_refund(order, "SUCCEEDED", 1, cause="RETURN_COMPLETED"))
    assert await refund_state(gateway, order) == ("NONE", None, 0)


@pytest.mark.parametrize("known_order", [True, False])
async def test_a_refund_of_a_payment_that_was_not_reported_is_an_error(gateway: Gateway, known_order: bool) -> None:
    order = await place_in(gateway, "CANCELLED") if known_order else {"id": str(uuid4())}
    with pytest.raises(LookupError):
        await process(gateway, a_refund(order, "SUCCEEDED", 1))


async def test_the_invoice_is_not_found_until_it_is_issued(gateway: Gateway) -> None:
    order = await place_in(gateway, "SHIPPED")
    response = await gateway.get(f"/orders/{order['id']}/invoice")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_an_issued_invoice_is_returned_with_a_link_that_expires(gateway: Gateway) -> None:
    order = await place_in(gateway, "SHIPPED")
    await process(gateway, an_event("invoice.issued", order["id"], 1, INVOICE))
    response = await gateway.get(f"/orders/{order['id']}/invoice", key="client")
    invoice = exact_json(response)
    assert '"total_amount":79.06' in response.text
    for name in ("invoice_id", "invoice_number", "issued_at", "currency", "document"):
        assert invoice[name] == INVOICE[name]
    assert invoice["order_id"] == order["id"]
    link = urlsplit(invoice["download_url"])
    assert (link.scheme, link.netloc) == ("https", "documents.example")
    assert link.path == f"/api/v1/invoices/{INVOICE['invoice_id']}/document"
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    expires_at = datetime.fromisoformat(invoice["download_expires_at"])
    links = SignedLinks("a key to sign links with")
    signature = (link.path, int(query["expires"]), query["signature"])
    assert links.verify(*signature, now=expires_at)
    assert not links.verify(*signature, now=expires_at + timedelta(seconds=1))
    assert timedelta(minutes=13) < expires_at - datetime.now(UTC) <= timedelta(minutes=15)


async def test_of_several_events_of_an_invoice_the_newest_counts(gateway: Gateway) -> None:
    order = await place_in(gateway, "SHIPPED")
    corrected = {**INVOICE, "document": {**INVOICE["document"], "size_bytes": 1}}
    events = [
        an_event("invoice.issued", order["id"], 2, corrected),
        an_event("invoice.issued", order["id"], 1, INVOICE),
    ]
    await process(gateway, *events)
    await process(gateway, events[1])
    invoice = (await gateway.get(f"/orders/{order['id']}/invoice")).json()
    assert invoice["document"]["size_bytes"] == 1
