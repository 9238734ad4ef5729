"""`GET /orders/{id}/history`: transitions with their actors, and rejected attempts."""

from support.example.orders import an_order, created, place_in
from support.gateway.application import Gateway


async def test_the_history_shows_the_accepted_transitions_in_order(gateway: Gateway) -> None:
    order = await place_in(gateway, "SHIPPED")
    await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID"})
    records = (await gateway.get(f"/orders/{order['id']}/history")).json()["data"]
    assert [(record["previous_state"], record["new_state"]) for record in records] == [
        ("PENDING_PAYMENT", "PAID"),
        ("PAID", "PROCESSING_IN_WAREHOUSE"),
        ("PROCESSING_IN_WAREHOUSE", "SHIPPED"),
    ]
    assert {record["outcome"] for record in records} == {"ACCEPTED"}


async def test_the_full_history_begins_with_the_creation_and_has_the_refused_attempts(gateway: Gateway) -> None:
    order = await place_in(gateway, "PAID")
    await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "DELIVERED", "reason": "wishful"})
    records = (await gateway.get(f"/orders/{order['id']}/history?include=all")).json()["data"]
    assert [(record["previous_state"], record["new_state"], record["outcome"]) for record in records] == [
        (None, "PENDING_PAYMENT", "ACCEPTED"),
        ("PENDING_PAYMENT", "PAID", "ACCEPTED"),
        ("PAID", "DELIVERED", "REFUSED"),
    ]
    assert records[2]["metadata"] == {"reason": "wishful"}


async def test_a_history_record_has_actor_time_and_ip_address(gateway: Gateway) -> None:
    order = created(await gateway.post("/orders", an_order()))
    response = await gateway.patch(
        f"/orders/{order['id']}/state", {"new_state": "PAID", "payment_transaction_id": "ch_teacups"}, key="payments"
    )
    (record,) = (await gateway.get(f"/orders/{order['id']}/history")).json()["data"]
    assert record.pop("id")
    assert record == {
        "entity_type": "ORDER",
        "entity_id": order["id"],
        "previous_state": "PENDING_PAYMENT",
        "new_state": "PAID",
        "outcome": "ACCEPTED",
        "actor_id": "payments",
        "actor_type": "USER",
        "trigger": "API_CALL",
        "metadata": {"payment_transaction_id": "ch_teacups"},
        "ip_address": "192.0.2.7",
        "created_at": response.json()["updated_at"],
    }


async def test_an_unknown_value_of_include_is_rejected(gateway: Gateway) -> None:
    order = created(await gateway.post("/orders", an_order()))
    assert (await gateway.get(f"/orders/{order['id']}/history?include=some")).status_code == 422
