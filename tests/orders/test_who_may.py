"""Authorization of the orders routes, and the order of the checks (docs/reference/errors.md)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from common.access.auth import Caller, Role
from common.database.statements import Connection
from common.database.transactions import reading, transaction
from common.errors import Problem
from orders.use_cases import commands, queries
from support.events.traceparent import TRACEPARENT
from support.example.ada import ADA
from support.example.orders import an_order, an_order_id, created, place, place_in
from support.gateway.application import Gateway
from support.postgres.audit_and_events import audit_and_events

EVERYONE = {"client", "warehouse", "payments", "manager", "ops"}
CHANGES: dict[str, tuple[str, dict[str, str], set[str]]] = {
    "PAID": ("PENDING_PAYMENT", {}, {"payments", "manager", "ops"}),
    "PROCESSING_IN_WAREHOUSE": ("PAID", {}, {"warehouse", "manager", "ops"}),
    "SHIPPED": ("PROCESSING_IN_WAREHOUSE", {}, {"warehouse", "manager", "ops"}),
    "DELIVERED": ("SHIPPED", {}, {"warehouse", "manager", "ops"}),
    "CANCELLED": ("PAID", {"reason": "changed her mind"}, {"client", "manager", "ops"}),
}
READ = ["", "/history", "/history?include=all"]


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("role", sorted(EVERYONE))
async def test_orders_are_placed_by_clients(gateway: Gateway, role: str) -> None:
    response = await gateway.post("/orders", an_order(), key=role)
    assert response.status_code == (201 if role in {"client", "ops"} else 403)


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize("role", sorted(EVERYONE))
async def test_every_role_may_read_orders(gateway: Gateway, role: str, path: str) -> None:
    order = await place(gateway)
    assert (await gateway.get(f"/orders/{order['id']}{path}", key=role)).status_code == 200
    assert (await gateway.get("/orders?limit=1", key=role)).status_code == 200
    assert (await gateway.get("/metrics", key=role)).status_code == 200


@pytest.mark.parametrize("target", CHANGES)
@pytest.mark.parametrize("role", sorted(EVERYONE))
async def test_each_state_may_be_set_only_by_its_roles(gateway: Gateway, role: str, target: str) -> None:
    before, extra, roles = CHANGES[target]
    order = await place_in(gateway, before)
    response = await gateway.patch(f"/orders/{order['id']}/state", {"new_state": target, **extra}, key=role)
    if role in roles:
        assert response.status_code == 200
    else:
        assert code(response) == (403, "FORBIDDEN")
        assert (await gateway.get(f"/orders/{order['id']}")).json() == order


@pytest.mark.parametrize("role", sorted(EVERYONE))
async def test_orders_are_cancelled_by_clients_and_managers(gateway: Gateway, role: str) -> None:
    order = await place(gateway)
    response = await gateway.post(f"/orders/{order['id']}/cancel", {"reason": "changed her mind"}, key=role)
    assert response.status_code == (200 if role in {"client", "manager", "ops"} else 403)


@pytest.mark.parametrize("role", sorted(EVERYONE))
async def test_only_ops_may_request_an_earlier_state(gateway: Gateway, role: str) -> None:
    order = await place_in(gateway, "PAID")
    response = await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PENDING_PAYMENT"}, key=role)
    assert response.status_code == (409 if role == "ops" else 403)


async def test_a_forbidden_change_leaves_no_audit_row(gateway: Gateway) -> None:
    order = await place(gateway)
    await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID"}, key="warehouse")
    stored_rows = await audit_and_events(gateway.pool, "ORDER", order["id"])
    assert stored_rows.transitions == [(None, "PENDING_PAYMENT", "ACCEPTED")]


async def test_a_customer_places_reads_and_cancels_her_own_orders(gateway: Gateway) -> None:
    key = await gateway.new_client(ADA)
    order = created(await gateway.post("/orders", an_order(), key=key))
    for path in READ:
        assert (await gateway.get(f"/orders/{order['id']}{path}", key=key)).status_code == 200
    assert (await gateway.post(f"/orders/{order['id']}/cancel", {"reason": "no"}, key=key)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/history", None),
        ("GET", "/invoice", None),
        ("PATCH", "/state", {"new_state": "CANCELLED", "reason": "not mine"}),
        ("PATCH", "/state", {"new_state": "PAID"}),
        ("POST", "/cancel", {"reason": "not mine"}),
    ],
)
async def test_another_customers_order_is_not_found(gateway: Gateway, method: str, path: str, body: Any) -> None:
    order = await place_in(gateway, "PAID")
    eve = await gateway.new_client(uuid4())
    foreign = await gateway.call(method, f"/orders/{order['id']}{path}", body, key=eve)
    missing = await gateway.call(method, f"/orders/{an_order_id()}{path}", body, key=eve)
    assert code(foreign) == code(missing) == (404, "NOT_FOUND")
    assert (await gateway.get(f"/orders/{order['id']}")).json() == order


async def test_a_customer_cannot_place_an_order_for_another_customer(gateway: Gateway) -> None:
    eve = await gateway.new_client(uuid4())
    assert code(await gateway.post("/orders", an_order(), key=eve)) == (403, "FORBIDDEN")
    assert code(await gateway.post("/orders", an_order(line_items=[]), key=eve)) == (422, "VALIDATION_ERROR")


async def test_a_customer_lists_only_her_own_orders(gateway: Gateway) -> None:
    customer = uuid4()
    key = await gateway.new_client(customer)
    mine = await place(gateway, customer_id=str(customer))
    await place(gateway)
    page = (await gateway.get("/orders", key=key)).json()
    assert ([order["id"] for order in page["data"]], page["pagination"]["total"]) == ([mine["id"]], 1)
    assert (await gateway.get(f"/orders?customer_id={customer}", key=key)).json() == page
    others = (await gateway.get(f"/orders?customer_id={ADA}", key=key)).json()
    assert (others["data"], others["pagination"]["total"]) == ([], 0)


async def test_a_missing_order_is_reported_before_a_forbidden_target_state(gateway: Gateway) -> None:
    path = f"/orders/{an_order_id()}/state"
    assert code(await gateway.patch(path, {"new_state": "PAID"}, key="warehouse")) == (404, "NOT_FOUND")
    assert code(await gateway.patch(path, {"new_state": "LOST"}, key="warehouse")) == (422, "VALIDATION_ERROR")


async def test_a_forbidden_route_is_reported_before_an_invalid_request(gateway: Gateway) -> None:
    assert code(await gateway.post("/orders", "{", key="warehouse")) == (403, "FORBIDDEN")
    assert code(await gateway.post("/orders", "{", key="nobody.knows-this-secret")) == (401, "UNAUTHENTICATED")


async def test_a_forbidden_target_state_is_reported_before_a_refused_transition(gateway: Gateway) -> None:
    order = await place_in(gateway, "DELIVERED")
    response = await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID"}, key="warehouse")
    assert code(response) == (403, "FORBIDDEN")


def as_a_stranger() -> Caller:
    return Caller(uuid4(), "client_stranger", Role.CLIENT, uuid4(), None, TRACEPARENT)


COMMANDS: dict[str, Callable[[Connection, UUID], Awaitable[Any]]] = {
    "read": lambda connection, order: queries.get_order(connection, as_a_stranger(), order),
    "history": lambda connection, order: queries.require_visible(connection, as_a_stranger(), order),
    "invoice": lambda connection, order: queries.get_invoice(connection, as_a_stranger(), order),
    "cancel": lambda connection, order: commands.cancel_order(connection, as_a_stranger(), order, "not mine"),
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_foreign_order_causes_the_same_statements_as_a_missing_one(gateway: Gateway, command: str) -> None:
    foreign, statements = await place(gateway), list[list[str]]()
    for order_id in (foreign["id"], an_order_id()):
        queries: list[str] = []
        async with reading(gateway.pool) as connection:
            with (
                connection.query_logger(lambda query, queries=queries: queries.append(query.query)),
                pytest.raises(Problem, match="No order with id"),
            ):
                await COMMANDS[command](connection, UUID(order_id))
        statements.append(queries)
    assert statements[0] == statements[1] != []


async def test_a_foreign_order_is_not_found_even_while_its_row_is_locked(gateway: Gateway) -> None:
    order, stranger = await place(gateway), await gateway.new_client(uuid4())
    async with transaction(gateway.pool) as connection:
        await connection.execute("SELECT 1 FROM orders WHERE id = $1 FOR UPDATE", order["id"])
        async with asyncio.timeout(10):
            response = await gateway.post(f"/orders/{order['id']}/cancel", {"reason": "not mine"}, key=stranger)
    assert code(response) == (404, "NOT_FOUND")
