"""The table of docs/reference/access.md: a request for every route, role, target state and ownership of its object."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, cast
from uuid import uuid4

import pytest
from common.access import api_keys
from common.access.auth import Role
from common.access.policy import Ownership, Policy, Verdict
from common.database.transactions import transaction
from common.edge.routing.guarded_route import GuardedRoute
from common.edge.routing.router import Router
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from common.service import Service
from common.telemetry.trace_context import new_traceparent
from httpx import Response
from local_stack.services import SERVICES
from support.example.ada import ADA
from support.example.invoices import consume, invoice_of
from support.example.order_events import order_shipped
from support.example.orders import an_order, place
from support.example.refunds import open_refund
from support.example.returns import a_return, deliver_order_event, order_view_data, set_caught_up
from support.gateway.application import Gateway, serve
from support.gateway.operator_tasks import a_dead_job, a_poison_record
from support.kafka.relays import PARK_EVENT
from support.postgres.databases import MakeDatabase

PREFIX = "/api/v1"
# Bodies by route; a target state is added to them.
BODIES: dict[str, dict[str, Any]] = {
    "PATCH /orders/{order_id}": {"metadata": {"shelf": "7"}},
    "PATCH /returns/{return_id}": {"metadata": {"shelf": "7"}},
    "POST /orders/{order_id}/notes": {"text": "seen"},
    "POST /returns/{return_id}/notes": {"text": "seen"},
    "PATCH /orders/{order_id}/state": {"reason": "changed her mind"},
    "POST /orders/{order_id}/cancel": {"reason": "changed her mind"},
    "PATCH /returns/{return_id}/approve": {"manager_notes": "cracks"},
    "PATCH /returns/{return_id}/reject": {"manager_notes": "used", "rejection_reason": "policy_violation"},
    "PATCH /returns/{return_id}/state": {},
    "POST /ops/api-keys": {"name": "Anna", "role": "client"},
    "POST /ops/jobs/replay": {"filter": {"kind": "glaze"}, "dry_run": True},
    "POST /ops/jobs/discard": {"filter": {"kind": "glaze"}, "dry_run": True},
    "POST /ops/jobs/{job_id}/discard": {"reason": "the kiln is gone"},
    "POST /ops/poison/replay": {"filter": {"topic": "vases"}, "dry_run": True},
    "POST /ops/poison/{poison_id}/discard": {"reason": "the kiln is gone"},
    "POST /ops/job-kinds/{kind}/pause": {"reason": "the kiln is cold"},
    "POST /ops/discrepancies/{discrepancy_id}/acknowledge": {"reason": "it was sold as cracked"},
}


async def an_api_key(gateway: Gateway) -> str:
    async with transaction(gateway.pool) as connection:
        return (await api_keys.create(connection, name="Anna", role=Role.CLIENT)).partition(".")[0]


async def a_parked_event(gateway: Gateway) -> int:
    event = NewEvent("vase.made", "vases", "vase", "2", "2", 1, b"{}", new_traceparent())
    async with transaction(gateway.pool) as connection:
        await outbox.append(connection, event)
        position: int = await connection.fetchval(PARK_EVENT, "vases", "2", 1)
        return position


async def an_invoice(gateway: Gateway) -> str:
    order = order_shipped()
    await consume(gateway.pool, order)
    return str((await invoice_of(gateway.pool, order)).id)


async def an_order_of_ada(gateway: Gateway) -> str:
    return str((await place(gateway))["id"])


async def a_return_of_ada(gateway: Gateway) -> str:
    """Opened by a client: nobody may decide about an own return."""
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    return str((await gateway.post("/returns", a_return(order_id), key=Role.CLIENT)).json()["id"])


async def a_refund(gateway: Gateway) -> str:
    return str((await open_refund(gateway.pool)).id)


async def an_unknown_key(_gateway: Gateway) -> str:
    return str(uuid4())


async def a_kind(gateway: Gateway) -> str:
    """Of a job, which is dead already where other requests needed one."""
    if not await gateway.pool.fetchval("SELECT count(*) FROM jobs WHERE kind = 'glaze'"):
        await a_dead_job(cast(Any, gateway))
    return "glaze"


async def a_discrepancy(gateway: Gateway) -> str:
    statement = 'INSERT INTO discrepancies (id, "check", subject, details) VALUES ($1, $2, $3, $4)'
    found = uuid4()
    await gateway.pool.execute(statement, found, "cracked_vase", str(found), {})
    return str(found)


# What a path names, by its parameter: how to make one, and one that does not exist.
OBJECTS: dict[str, tuple[Callable[[Gateway], Awaitable[object]], str]] = {
    "order_id": (an_order_of_ada, str(uuid4())),
    "return_id": (a_return_of_ada, str(uuid4())),
    "invoice_id": (an_invoice, str(uuid4())),
    "refund_id": (a_refund, str(uuid4())),
    "job_id": (lambda gateway: a_dead_job(cast(Any, gateway)), str(uuid4())),
    "kind": (a_kind, "nothing"),
    "poison_id": (lambda gateway: a_poison_record(cast(Any, gateway), f"Vase {uuid4()}"), str(uuid4())),
    "discrepancy_id": (a_discrepancy, str(uuid4())),
    "position": (a_parked_event, "999999999"),
    "prefix": (an_api_key, "nobody"),
    "key": (an_unknown_key, str(uuid4())),
}


@asynccontextmanager
async def served(name: str, make_database: MakeDatabase) -> AsyncIterator[Gateway]:
    service: Service[Any] = import_module(f"{name}.app").SERVICE
    wait = {"eligibility_wait_seconds": 0.05} if name == "returns" else {}
    async with serve(service, make_database(name), **wait) as gateway:
        if name == "returns":
            await set_caught_up(gateway.pool, datetime.now(UTC) + timedelta(days=1))
        yield gateway


class Requests:
    """One request for each cell of the table."""

    def __init__(self, gateway: Gateway, keys: dict[tuple[Role, Ownership], str]) -> None:
        self._gateway = gateway
        self._keys = keys
        self._made: dict[str, str] = {}

    async def send(self, route: GuardedRoute, role: Role, ownership: Ownership, target: str | None) -> Response:
        [method] = route.methods or {""}
        path = route.path.removeprefix(PREFIX)
        name = f"{method} {path}"
        body = await self._body(name, ownership, target) if method in ("POST", "PATCH") else None
        key = self._keys.get((role, ownership), role)
        return await self._gateway.call(method, await self._address(method, path, ownership), body, key=key)

    async def _body(self, name: str, ownership: Ownership, target: str | None) -> dict[str, Any]:
        if name == "POST /orders":
            return an_order()
        if name == "POST /returns":
            is_missing = ownership is Ownership.MISSING
            order_id = str(uuid4()) if is_missing else await deliver_order_event(self._gateway.pool, order_view_data())
            return a_return(order_id)
        if name == "POST /orders/bulk-state":
            return {"order_ids": [str(uuid4())], "change": {"new_state": target, "reason": "broken"}}
        return {**BODIES.get(name, {}), **({} if target is None else {"new_state": target})}

    async def _address(self, method: str, path: str, ownership: Ownership) -> str:
        if "{" not in path:
            return path
        parameter = path.partition("{")[2].partition("}")[0]
        make, missing = OBJECTS[parameter]
        if ownership is Ownership.MISSING:
            return path.replace(f"{{{parameter}}}", missing)
        changes = method != "GET" and parameter in ("order_id", "return_id", "prefix")
        if changes or parameter not in self._made:
            self._made[parameter] = str(await make(self._gateway))
        return path.replace(f"{{{parameter}}}", self._made[parameter])


def verdict_of(response: Response) -> Verdict:
    """An allowed request may still be refused for the object's state. Any other error shows that the test is wrong."""
    details = response.json()["error"]["details"] if response.status_code >= 400 else {}
    if response.status_code == 403:
        return Verdict.FORBIDDEN
    if response.status_code == 404 and not any(name.startswith(("invoice of", "proof of")) for name in details):
        return Verdict.NOT_FOUND
    assert response.status_code in (200, 201, 404, 409), response.text
    return Verdict.ALLOWED


def is_known(route: GuardedRoute) -> bool:
    """A route with a path parameter or body of which this test knows nothing is left to the tests of its package."""
    [method] = route.methods or {""}
    parameters = [part.partition("}")[0] for part in route.path.split("{")[1:]]
    has_body = method in ("POST", "PATCH") and not route.path.endswith(("/replay", "/orders", "/returns"))
    name = f"{method} {route.path.removeprefix(PREFIX)}"
    return len(parameters) <= 1 and all(each in OBJECTS for each in parameters) and (not has_body or name in BODIES)


def guarded_routes(gateway: Gateway) -> list[GuardedRoute]:
    return [each for each in gateway.app.routes if isinstance(each, GuardedRoute) and each.policy.roles is not None]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", SERVICES)
async def test_each_request_has_the_verdict_of_the_policy(name: str, role: Role, make_database: MakeDatabase) -> None:
    async with served(name, make_database) as gateway:
        routes = [each for each in guarded_routes(gateway) if is_known(each)]
        assert len(routes) >= 13, "the routes of every service, and those of operators"
        keys = {
            (Role.CLIENT, Ownership.OWN): await gateway.new_client(ADA),
            (Role.CLIENT, Ownership.MISSING): await gateway.new_client(ADA),
            (Role.CLIENT, Ownership.FOREIGN): await gateway.new_client(uuid4()),
        }
        requests, wrong = Requests(gateway, keys), []
        for route in routes:
            for target in route.policy.targets or (None,):
                for ownership in Ownership:
                    response = await requests.send(route, role, ownership, target)
                    expected = route.policy.verdict(role, ownership, target)
                    if verdict_of(response) is not expected:
                        wrong.append((route.methods, route.path, target, ownership, expected, response.status_code))
        assert wrong == []


@pytest.mark.parametrize("name", SERVICES)
async def test_no_route_with_a_policy_answers_without_a_credential(name: str, make_database: MakeDatabase) -> None:
    async with served(name, make_database) as gateway:
        for route in guarded_routes(gateway):
            [method] = route.methods or {""}
            address = route.path.removeprefix(PREFIX).replace("{", "").replace("}", "")
            response = await gateway.call(method, address, key="")
            assert response.status_code == 401, (method, route.path, response.text)


def test_a_route_without_declared_roles_fails_at_its_declaration() -> None:
    declare: Any = Router("/vases").route
    with pytest.raises(TypeError, match="roles"):
        declare("GET", "")
    [route] = _declared(Router("/vases"), [])
    assert route.policy == Policy(frozenset({Role.OPS})), "without roles, only operators may call it"


def _declared(router: Router, roles: list[Role]) -> list[GuardedRoute]:
    @router.route("GET", "", roles=roles)
    async def endpoint() -> Any:
        raise NotImplementedError

    return router.build()
