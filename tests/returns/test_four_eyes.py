"""Four eyes: nobody decides about an own return, and above an amount two people must approve."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from common.access import api_keys
from common.access.auth import Role
from common.database.transactions import transaction
from pydantic import ValidationError
from returns.app import SERVICE
from returns.domain.four_eyes import FourEyes
from returns.settings import ReturnsSettings
from support.example.orders import created
from support.example.returns import a_return, changed, deliver_order_event, open_return, order_view_data
from support.gateway.application import Gateway, serve
from support.postgres.audit_and_events import audit_and_events
from support.postgres.databases import MakeDatabase

APPROVE = ("approve", {"manager_notes": "cracks are visible"})
REJECT = ("reject", {"manager_notes": "used for years", "rejection_reason": "policy_violation"})


@pytest_asyncio.fixture
async def strict_gateway(make_database: MakeDatabase) -> AsyncIterator[Gateway]:
    """Two approvers above 50 in every currency but yen; the example's order is of 79.06 EUR."""
    async with serve(SERVICE, make_database("returns"), four_eyes_above="50,JPY=8000") as running:
        yield running


async def another_manager(gateway: Gateway) -> str:
    async with transaction(gateway.pool) as connection:
        return await api_keys.create(connection, name="another", role=Role.MANAGER)


def key_id(key: str) -> str:
    return str(api_keys.entity_id(key.partition(".")[0]))


@pytest.mark.parametrize(("route", "body"), [APPROVE, REJECT])
async def test_who_opened_a_return_cannot_decide_about_it(gateway: Gateway, route: str, body: dict[str, str]) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    opened = created(await gateway.post("/returns", a_return(order_id), key="ops"))
    response = await gateway.patch(f"/returns/{opened['id']}/{route}", body, key="ops")
    assert (response.status_code, response.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert (await gateway.get(f"/returns/{opened['id']}")).json() == opened
    stored = await audit_and_events(gateway.pool, "RETURN", opened["id"])
    assert stored.transitions[-1] == ("REQUESTED", {"approve": "APPROVED", "reject": "REJECTED"}[route], "REFUSED")
    changed(await gateway.patch(f"/returns/{opened['id']}/{route}", body, key="manager"))


async def test_one_approval_is_enough_without_an_amount(gateway: Gateway) -> None:
    opened = await open_return(gateway)
    assert opened["approvals"] == []
    approved = changed(await gateway.patch(f"/returns/{opened['id']}/approve", APPROVE[1], key="manager"))
    assert approved["status"] == "APPROVED"
    [approval] = approved["approvals"]
    assert approval == {"approved_by": str(api_keys.entity_id("manager")), "approved_at": approved["approved_at"]}


async def test_above_the_amount_the_second_approver_approves(strict_gateway: Gateway) -> None:
    opened, second = await open_return(strict_gateway), await another_manager(strict_gateway)
    path = f"/returns/{opened['id']}"
    first = changed(await strict_gateway.patch(f"{path}/approve", APPROVE[1], key="manager"))
    assert (first["status"], first["approved_at"], first["version"]) == ("REQUESTED", None, 2)
    assert [each["approved_by"] for each in first["approvals"]] == [str(api_keys.entity_id("manager"))]
    stored = await audit_and_events(strict_gateway.pool, "RETURN", opened["id"])
    assert stored.transitions[-1] == ("REQUESTED", "REQUESTED", "ACCEPTED")
    assert [name for name, _ in stored.events] == ["return.requested"]
    approved = changed(await strict_gateway.patch(f"{path}/approve", APPROVE[1], key=second))
    assert (approved["status"], approved["version"]) == ("APPROVED", 3)
    assert [each["approved_by"] for each in approved["approvals"]] == [
        str(api_keys.entity_id("manager")),
        key_id(second),
    ]
    stored = await audit_and_events(strict_gateway.pool, "RETURN", opened["id"])
    assert [name for name, _ in stored.events] == ["return.requested", "return.approved"]


async def test_the_same_approver_again_changes_nothing(strict_gateway: Gateway) -> None:
    opened = await open_return(strict_gateway)
    path = f"/returns/{opened['id']}/approve"
    first = changed(await strict_gateway.patch(path, APPROVE[1], key="manager"))
    before = await audit_and_events(strict_gateway.pool, "RETURN", opened["id"])
    assert changed(await strict_gateway.patch(path, APPROVE[1], key="manager")) == first
    assert await audit_and_events(strict_gateway.pool, "RETURN", opened["id"]) == before


async def test_the_first_approver_approves_alone_once_one_approver_is_enough(make_database: MakeDatabase) -> None:
    database = make_database("returns")
    async with serve(SERVICE, database, four_eyes_above="50") as gateway:
        opened = await open_return(gateway)
        path = f"/returns/{opened['id']}/approve"
        first = changed(await gateway.patch(path, APPROVE[1], key="manager"))
        assert first["status"] == "REQUESTED"
    async with serve(SERVICE, database, four_eyes_above="500") as gateway:
        approved = changed(await gateway.patch(path, APPROVE[1], key="manager"))
        assert (approved["status"], approved["version"]) == ("APPROVED", 3)
        assert approved["approvals"] == first["approvals"], "one approver is listed once"
        stored = await audit_and_events(gateway.pool, "RETURN", opened["id"])
        assert stored.transitions[-1] == ("REQUESTED", "APPROVED", "ACCEPTED")
        assert [name for name, _ in stored.events] == ["return.requested", "return.approved"]


async def test_of_many_approvals_by_two_people_at_once_one_is_the_first_and_one_approves(
    strict_gateway: Gateway,
) -> None:
    opened, second = await open_return(strict_gateway), await another_manager(strict_gateway)
    path = f"/returns/{opened['id']}/approve"
    answers = await asyncio.gather(
        *(strict_gateway.patch(path, APPROVE[1], key=key) for key in ("manager", second) * 5)
    )
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 409}
    approved = (await strict_gateway.get(f"/returns/{opened['id']}")).json()
    assert (approved["status"], len(approved["approvals"])) == ("APPROVED", 2)
    stored = await audit_and_events(strict_gateway.pool, "RETURN", opened["id"])
    accepted = [each[:2] for each in stored.transitions if each[2] == "ACCEPTED"]
    assert accepted == [(None, "REQUESTED"), ("REQUESTED", "REQUESTED"), ("REQUESTED", "APPROVED")]
    assert [name for name, _ in stored.events] == ["return.requested", "return.approved"]


async def test_one_person_may_reject_also_after_a_first_approval(strict_gateway: Gateway) -> None:
    opened = await open_return(strict_gateway)
    changed(await strict_gateway.patch(f"/returns/{opened['id']}/approve", APPROVE[1], key="manager"))
    rejected = changed(await strict_gateway.patch(f"/returns/{opened['id']}/reject", REJECT[1], key="manager"))
    assert rejected["status"] == "REJECTED"


@pytest.mark.parametrize(
    ("text", "amount", "currency", "approvers"),
    [
        ("", "1000000", "EUR", 1),
        ("500", "500", "EUR", 1),
        ("500", "500.01", "EUR", 2),
        ("500,JPY=80000", "80000", "JPY", 1),
        ("500,JPY=80000", "80001", "JPY", 2),
        ("JPY=80000", "9999999", "EUR", 1),
        ("0", "0.01", "EUR", 2),
    ],
)
def test_the_amount_itself_needs_one_approver_and_more_needs_two(
    text: str, amount: str, currency: str, approvers: int
) -> None:
    assert FourEyes.parse(text).approvers(Decimal(amount), currency) == approvers


@pytest.mark.parametrize("text", ["-1", "EUR", "EUR=", "eur=5", "5,6", "EUR=5,EUR=6", "1e3", "EURO=5", "\u0665"])
def test_a_wrong_amount_is_a_wrong_setting(text: str) -> None:
    settings: dict[str, Any] = {"database_url": "postgresql://nowhere", "kafka_bootstrap": "nowhere"}
    with pytest.raises(ValidationError, match="must be amounts"):
        ReturnsSettings(**settings, four_eyes_above=text)
