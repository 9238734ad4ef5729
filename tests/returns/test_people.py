"""One person with an API key and a bearer token, or with two keys, is one actor: for four eyes and in histories."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from common.access import api_keys
from common.access.actors import subject_id
from common.access.api_keys import KeyOptions
from common.access.auth import Role
from common.database.transactions import transaction
from returns.app import SERVICE
from support.example.orders import created
from support.example.returns import a_return, changed, deliver_order_event, open_return, order_view_data
from support.gateway.application import Gateway, serve
from support.gateway.identity_provider import ISSUER, new_key, serve_keys, sign
from support.postgres.databases import MakeDatabase

NOTES = {"manager_notes": "cracks are visible"}
MARIA = str(subject_id(ISSUER, "maria"))
SIGNING_KEY = new_key("ES256", "1")


@pytest_asyncio.fixture
async def gateway(make_database: MakeDatabase) -> AsyncIterator[Gateway]:
    """Trusts the identity provider; two people must approve above 50."""
    async with (
        serve_keys(SIGNING_KEY) as provider,
        serve(SERVICE, make_database("returns"), four_eyes_above="50", **provider.settings) as running,
    ):
        yield running


def token_of(subject: str) -> str:
    return f"Bearer {sign(SIGNING_KEY, algorithm='ES256', sub=subject)}"


async def key_of(gateway: Gateway, subject: str | None, role: Role = Role.MANAGER) -> str:
    async with transaction(gateway.pool) as connection:
        return await api_keys.create(connection, name="scripts", role=role, options=KeyOptions(subject=subject))


async def test_one_person_with_a_key_and_a_token_gives_one_of_two_approvals(gateway: Gateway) -> None:
    path = f"/returns/{(await open_return(gateway))['id']}"
    first = changed(await gateway.patch(f"{path}/approve", NOTES, key=await key_of(gateway, "maria")))
    for credential in (token_of("maria"), await key_of(gateway, "maria")):
        assert changed(await gateway.patch(f"{path}/approve", NOTES, key=credential)) == first
    assert first["status"] == "REQUESTED"
    approved = changed(await gateway.patch(f"{path}/approve", NOTES, key=token_of("noor")))
    assert approved["status"] == "APPROVED"
    assert [each["approved_by"] for each in approved["approvals"]] == [MARIA, str(subject_id(ISSUER, "noor"))]


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_who_opened_a_return_with_a_key_cannot_decide_about_it_with_a_token(
    gateway: Gateway, decision: str
) -> None:
    order_id, key = await deliver_order_event(gateway.pool, order_view_data()), await key_of(gateway, "maria", Role.OPS)
    opened = created(await gateway.post("/returns", a_return(order_id), key=key))
    body = NOTES if decision == "approve" else {**NOTES, "rejection_reason": "policy_violation"}
    response = await gateway.patch(f"/returns/{opened['id']}/{decision}", body, key=token_of("maria"))
    assert (response.status_code, response.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_a_key_without_a_subject_is_an_actor_of_its_own(gateway: Gateway) -> None:
    path = f"/returns/{(await open_return(gateway))['id']}"
    changed(await gateway.patch(f"{path}/approve", NOTES, key=await key_of(gateway, None)))
    approved = changed(await gateway.patch(f"{path}/approve", NOTES, key=token_of("maria")))
    assert approved["status"] == "APPROVED"


async def test_the_history_has_the_person_and_the_credential(gateway: Gateway) -> None:
    path, key = f"/returns/{(await open_return(gateway))['id']}", await key_of(gateway, "maria")
    for credential in (key, token_of("noor")):
        changed(await gateway.patch(f"{path}/approve", NOTES, key=credential))
    *_, first, second = (await gateway.get(f"{path}/history?include=all")).json()["data"]
    assert (first["actor_id"], first["metadata"]["actor_name"]) == (MARIA, key.partition(".")[0])
    assert second["metadata"]["actor_name"] == "noor"
