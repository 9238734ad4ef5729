"""`GET /orders/{id}/history`: transitions with their actors, and rejected attempts."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from common.access import api_keys
from common.access.actors import command_line_id
from common.audit import entries
from common.audit.actor import Actor, ActorType, Trigger
from common.audit.chain import ChainHead, digest_of, hash_of
from common.audit.checkpoint import Checkpoint
from common.audit.entries import AuditEntry, entry_parameters
from common.audit.merkle import inclusion_ranges, leaf_hash, node_hash
from common.audit.sealer import Sealer
from common.database.statements import Connection, prepare
from common.database.tables import audit
from common.database.transactions import transaction
from sqlalchemy import bindparam, insert
from support.events.traceparent import TRACEPARENT
from support.example.orders import an_order, created, place_in
from support.gateway.application import Gateway
from support.postgres.audit_trail import first_broken, history

SOMEBODY = Actor(UUID(int=7), "somebody", "USER", "API_CALL", TRACEPARENT)


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
    assert records[2]["metadata"] == {"actor_name": "ops", "reason": "wishful"}


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
        "actor_id": str(api_keys.entity_id("payments")),
        "actor_type": "USER",
        "trigger": "API_CALL",
        "metadata": {"actor_name": "payments", "payment_transaction_id": "ch_teacups"},
        "ip_address": "192.0.2.7",
        "created_at": response.json()["updated_at"],
    }


async def test_a_history_is_proven_to_be_in_the_latest_checkpoint(gateway: Gateway) -> None:
    order = await place_in(gateway, "PAID")
    path = f"/orders/{order['id']}/history/proof"
    for other in range(300):
        async with transaction(gateway.pool) as connection:
            entry = AuditEntry("KILN", UUID(int=other), None, "LIT", "ACCEPTED", SOMEBODY, datetime.now(UTC))
            await entries.append(connection, entry)
    assert (await gateway.get(path)).status_code == 404
    sealer = Sealer(gateway.pool, "orders", key=None, store=None, seconds=9)
    while await sealer.seal_batch():
        pass
    await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "DELIVERED"})
    proof = (await gateway.get(path)).json()
    checkpoint = Checkpoint.parse(proof["checkpoint"])
    head = proof["head"]
    assert [row["position"] for row in proof["rows"]] == [1, 2]
    assert (head["position"], head["hash"], proof["unsealed_rows"]) == (2, proof["rows"][-1]["hash"], 1)
    root = leaf_hash("ORDER", UUID(order["id"]), head["position"], bytes.fromhex(head["hash"]))
    for (start, _), sibling in zip(inclusion_ranges(head["index"], checkpoint.size), proof["proof"], strict=True):
        other_hash = bytes.fromhex(sibling)
        root = node_hash(root, other_hash) if head["index"] < start else node_hash(other_hash, root)
    assert root == checkpoint.root
    foreign = await gateway.call("GET", path, key=await gateway.new_client(UUID(int=1)))
    assert foreign.status_code == 404


async def test_an_unknown_value_of_include_is_rejected(gateway: Gateway) -> None:
    order = created(await gateway.post("/orders", an_order()))
    assert (await gateway.get(f"/orders/{order['id']}/history?include=some")).status_code == 422


@pytest.mark.parametrize(
    ("stored", "actor_type", "trigger", "actor_id"),
    [
        ("ak_client_1", "USER", "API_CALL", str(api_keys.entity_id("ak_client_1"))),
        ("ada (command line)", "USER", "API_CALL", str(command_line_id("ada"))),
        ("refund.succeeded", "SYSTEM", "EVENT", None),
    ],
)
async def test_a_row_of_version_0_1_shows_the_id_that_belongs_to_its_name_and_still_verifies(
    gateway: Gateway, stored: str, actor_type: ActorType, trigger: Trigger, actor_id: str | None
) -> None:
    order = created(await gateway.post("/orders", an_order()))
    async with transaction(gateway.pool) as connection:
        await _append_as_version_0_1(connection, UUID(order["id"]), stored, actor_type, trigger)
        assert first_broken(await history(connection, "ORDER", UUID(order["id"]))) is None
    (record,) = (await gateway.get(f"/orders/{order['id']}/history")).json()["data"]
    assert record["actor_id"] == actor_id
    assert record["metadata"] == {"actor_name": stored, "reason": "as before"}


async def _append_as_version_0_1(
    connection: Connection, order_id: UUID, stored: str, actor_type: ActorType, trigger: Trigger
) -> None:
    """The actor's name is in `actor_id`, and not among the details."""
    (last,) = await history(connection, "ORDER", order_id)
    head = ChainHead(last["position"], last["hash"])
    actor = Actor(None, stored, actor_type, trigger, TRACEPARENT)
    entry = AuditEntry("ORDER", order_id, "PENDING_PAYMENT", "PAID", "ACCEPTED", actor, datetime.now(UTC))
    parameters: dict[str, Any] = entry_parameters(entry, head)
    salt, details = parameters.pop("audit_salt"), json.dumps({"reason": "as before"})
    row = {name.removeprefix("audit_"): value for name, value in parameters.items()}
    del row["details"], row["ip_address"]
    row |= {"actor_id": stored, "details_digest": digest_of(salt, details, None)}
    row["hash"] = hash_of(row)
    await prepare(insert(audit).values({name: bindparam(name) for name in row})).execute(connection, **row)
    await connection.execute(
        "INSERT INTO audit_details (audit_id, salt, details) VALUES ($1, $2, $3)", row["id"], salt, details
    )
