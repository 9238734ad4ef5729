"""Every text, number and shape that clients may send, in every field of every body of both gateways: a clear 4xx, or
stored and returned unchanged. The fields come from the OpenAPI documents."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from common.text.visible import shows_nothing
from generators.http_tables import gateway as application
from httpx import Response
from orders.app import SERVICE as ORDERS
from returns.app import SERVICE as RETURNS
from support.example.ada import TOTAL
from support.example.orders import PATHS as ORDER_PATHS
from support.example.orders import place, place_in
from support.example.returns import deliver_order_event, open_in, order_view_data, set_caught_up
from support.gateway.application import Gateway, exact_json, serve
from support.gateway.hostile_values import NUMBERS, SHAPES, TEXTS, WRONG_TYPES
from support.postgres.audit_and_events import last_event
from support.postgres.databases import Databases
from support.project.text_fields import KEY, Body, bodies, texts_in, value_at, with_value

PREFIX = "/api/v1"
DEAD_JOB = """
INSERT INTO jobs (id, kind, business_key, payload, traceparent, state, finished_at)
VALUES ($1, $2, 'a', '{}', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'dead', now())
"""
POISON_RECORD = """
INSERT INTO poison (id, topic, partition, "offset", digest, headers, error, record_time)
VALUES (gen_random_uuid(), 'corpus', 0, 0, $1, '[]', 'a', 0) RETURNING id
"""
DISCREPANCY = """
INSERT INTO discrepancies (id, "check", subject, details) VALUES (gen_random_uuid(), 'corpus', $1, '{}') RETURNING id
"""
BODIES = {
    f"{service} {body}": (service, body)
    for service in ("orders", "returns")
    for body in bodies(application(service).openapi())
    if "PENDING_PAYMENT" not in str(body)  # no transition leads to it
    # Their members exclude each other or are conditions, and their change is the body of the single route.
    and not body.route.endswith(("/bulk-state", "/jobs/replay", "/jobs/discard", "/poison/replay"))
}


@pytest_asyncio.fixture(scope="module")
async def gateways(databases: Databases) -> AsyncIterator[dict[str, Gateway]]:
    async with (
        serve(ORDERS, databases.create("orders"), invoice_download_url="https://documents.example") as orders,
        serve(RETURNS, databases.create("returns"), eligibility_wait_seconds=0.05) as returns,
    ):
        await set_caught_up(returns.pool, datetime.now(UTC) + timedelta(days=1))
        yield {"orders": orders, "returns": returns}


async def target_of(gateway: Gateway, body: Body) -> tuple[str, str | None]:
    """The path for a request that the state of its resource permits, and the path of the resource."""
    path, state = body.route.removeprefix(PREFIX), body.valid.get("new_state") if isinstance(body.valid, dict) else None
    if "{order_id}" in path:
        order = await (place(gateway) if state is None else place_in(gateway, _before(state)))
        return path.replace("{order_id}", order["id"]), f"/orders/{order['id']}"
    if "{return_id}" in path:
        before = {"IN_TRANSIT": "APPROVED", "RECEIVED": "IN_TRANSIT", "COMPLETED": "RECEIVED"}.get(state or "")
        found = await open_in(gateway, before or "REQUESTED")
        return path.replace("{return_id}", found["id"]), f"/returns/{found['id']}"
    if "{job_id}" in path or "{kind}" in path:
        job = uuid4()
        await gateway.pool.execute(DEAD_JOB, job, f"corpus-{job}")
        return path.replace("{job_id}", str(job)).replace("{kind}", f"corpus-{job}"), None
    if "{poison_id}" in path:
        poison = await gateway.pool.fetchval(POISON_RECORD, uuid4().bytes)
        return path.replace("{poison_id}", str(poison)), None
    if "{discrepancy_id}" in path:
        discrepancy = await gateway.pool.fetchval(DISCREPANCY, str(uuid4()))
        return path.replace("{discrepancy_id}", str(discrepancy)), None
    return path, None


def somewhere(body: Body) -> str:
    """For requests that are refused before the resource is looked for (the sequence of the contract's errors)."""
    return re.sub(r"\{\w+\}", str(uuid4()), body.route.removeprefix(PREFIX))


def _before(state: str) -> str:
    """The state from which an order comes into this one."""
    names = ["PENDING_PAYMENT", "PAID", "PROCESSING_IN_WAREHOUSE", "SHIPPED", "DELIVERED"]
    return names[max(0, names.index(state) - 1)] if state in names and state in ORDER_PATHS else "PENDING_PAYMENT"


async def valid_body(gateway: Gateway, body: Body) -> Any:
    """A body that is accepted: unique, and for a return with an order that can be returned."""
    valid = body.valid
    if isinstance(valid, dict) and "order_id" in valid:
        valid = {**valid, "order_id": await deliver_order_event(gateway.pool, order_view_data())}
    if isinstance(valid, dict) and "amount" in valid and "new_state" in valid:
        valid = {**valid, "amount": float(TOTAL)}
    if isinstance(valid, dict) and "external_id" in valid:
        valid = {**valid, "external_id": str(uuid4())}
    if isinstance(valid, dict) and "customer_id" in valid and "role" in valid:
        valid = {**valid, "role": "client"}
    return valid


def assert_clear(response: Response) -> dict[str, Any]:
    """A refusal that the contract has: its shape, and nothing internal."""
    assert 400 <= response.status_code < 500, (response.status_code, response.text[:500])
    error: dict[str, Any] = response.json()["error"]
    assert error["code"]
    assert error["message"]
    assert not any(word in response.text for word in ("Traceback", "asyncpg", "SELECT ", "site-packages"))
    return error


@pytest.mark.parametrize("name", BODIES)
async def test_the_derived_body_is_accepted(gateways: dict[str, Gateway], name: str) -> None:
    """Otherwise the tests below would only see refusals for another reason."""
    service, body = BODIES[name]
    gateway = gateways[service]
    path, _ = await target_of(gateway, body)
    response = await gateway.call(body.method, path, await valid_body(gateway, body))
    assert response.status_code < 300, response.text


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", BODIES)
async def test_a_text_in_every_field_is_refused_by_name_or_stored_unchanged(
    gateways: dict[str, Gateway], name: str, kind: str
) -> None:
    """All fields at once: the refusal names those that do not take the text; then the others alone are sent."""
    service, body = BODIES[name]
    gateway, text = gateways[service], TEXTS[kind]
    path, resource = await target_of(gateway, body)
    sent = valid = await valid_body(gateway, body)
    fields = list(body.texts)
    for field in fields:
        sent = with_value(sent, field, text)
    response = await gateway.call(body.method, path, as_json(sent))
    if response.status_code == 422:
        refused = {error["field"] for error in assert_clear(response)["details"]["errors"]}
        fields = [field for field in fields if ".".join(map(str, field)) not in refused]
        if refused == {"body"}:  # NUL is refused wherever it is
            return
        assert len(fields) < len(body.texts), response.text
        sent = valid
        for field in fields:
            sent = with_value(sent, field, text)
        response = await gateway.call(body.method, path, as_json(sent))
    if response.status_code == 409:  # an external id that an earlier test has used
        assert assert_clear(response)["details"]["external_id"] == text.strip()
        sent = with_value(sent, ("external_id",), text + uuid4().hex)
        response = await gateway.call(body.method, path, as_json(sent))
    if response.status_code >= 300:
        assert_clear(response)
        assert response.status_code in (400, 422), response.text
        return
    await assert_unchanged(gateway, response, resource, sent, fields)


async def assert_unchanged(
    gateway: Gateway, response: Response, resource: str | None, sent: Any, fields: list[tuple[str | int, ...]]
) -> None:
    answer = response.json()
    is_new = resource is None
    if is_new and "status" in answer:
        resource = f"/{'orders' if 'order_number' in answer else 'returns'}/{answer['id']}"
    read = (await gateway.get(resource)).json() if resource is not None else answer
    texts = set(texts_in(answer)) | set(texts_in(read))
    if resource is not None:
        texts |= set(texts_in((await gateway.get(f"{resource}/history?include=all")).json()))
        event = await last_event(gateway.pool, resource.rpartition("/")[2])
        texts |= set(texts_in(event))
    else:
        event = {}
    for field in fields:
        text = value_at(sent, field)
        expected = "" if shows_nothing(text) else text.strip()
        places = [value_at(document, field) for document in (answer, read, event)]
        if is_new:  # a command's field may have the name of another field of its resource
            assert all(place in (None, expected) for place in places), (field, places)
        assert expected in texts or expected == "", (field, texts)


@pytest.mark.parametrize("name", BODIES)
async def test_a_hostile_name_of_a_member_is_refused_or_stored_unchanged(
    gateways: dict[str, Gateway], name: str
) -> None:
    service, body = BODIES[name]
    gateway = gateways[service]
    path, _ = await target_of(gateway, body)
    valid = await valid_body(gateway, body)
    chosen = [field[:-1] for field in body.texts if field[-1] == KEY]
    for text in TEXTS.values():
        assert_clear(await gateway.call(body.method, path, as_json({**valid, text: "a"})))
        for owner in chosen:
            members = {text: "a"}
            response = await gateway.call(body.method, path, as_json(with_value(valid, owner, members)))
            if response.status_code >= 300:
                assert_clear(response)
            else:
                assert value_at(response.json(), owner)[text] == "a"


@pytest.mark.parametrize("name", [name for name, (_, body) in BODIES.items() if body.numbers])
async def test_a_number_is_refused_or_stored_exactly(gateways: dict[str, Gateway], name: str) -> None:
    service, body = BODIES[name]
    gateway = gateways[service]
    for field in body.numbers:
        for token in NUMBERS:
            path, _ = await target_of(gateway, body)
            text = as_json(with_value(await valid_body(gateway, body), field, "PLACE")).replace('"PLACE"', token)
            response = await gateway.call(body.method, path, text)
            if response.status_code >= 300:
                assert_clear(response)
            elif token != "null":
                stored = value_at(exact_json(response), field)
                assert stored is None or Decimal(stored) == Decimal(token), (field, token, stored)


@pytest.mark.parametrize("name", BODIES)
async def test_a_value_of_another_type_is_refused_and_named(gateways: dict[str, Gateway], name: str) -> None:
    service, body = BODIES[name]
    gateway = gateways[service]
    path = somewhere(body)
    valid = await valid_body(gateway, body)
    for field in body.texts:
        for value in WRONG_TYPES:
            error = assert_clear(await gateway.call(body.method, path, with_value(valid, field, value)))
            assert error["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_of_another_shape_is_refused(gateways: dict[str, Gateway], name: str, shape: str) -> None:
    service, body = BODIES[name]
    gateway = gateways[service]
    path = somewhere(body)
    response = await gateway.call(body.method, path, SHAPES[shape])
    assert_clear(response)
    assert response.status_code in (400, 413, 422), response.text
    if shape.startswith("10 MB"):
        assert response.status_code == 413


@pytest.mark.parametrize("name", BODIES)
async def test_a_member_that_is_given_twice_is_refused_at_every_depth(gateways: dict[str, Gateway], name: str) -> None:
    service, body = BODIES[name]
    gateway = gateways[service]
    path = somewhere(body)
    valid = await valid_body(gateway, body)
    for field in (*body.texts, *body.numbers):
        text = json.dumps(valid)
        value = json.dumps(value_at(valid, field))
        pair = f"{json.dumps(field[-1])}: {value}"
        if isinstance(field[-1], str) and pair in text:
            response = await gateway.call(body.method, path, text.replace(pair, f"{pair}, {pair}", 1))
            assert (response.status_code, assert_clear(response)["code"]) == (400, "BAD_REQUEST"), response.text


def as_json(value: Any) -> str:
    """With lone surrogates as escapes, as no encoder of UTF-8 sends them."""
    return json.dumps(value)
