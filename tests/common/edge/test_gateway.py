"""The HTTP edge of a gateway on real PostgreSQL: what is rejected, in which order, and with which error body."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from common.telemetry.logs import configure_logging
from structlog.testing import capture_logs
from support.gateway.errors import assert_error
from support.gateway.vase_service import VASE, VaseGateway, open_vase_gateway
from support.logs import logging_restored
from support.postgres.databases import Database, Databases

JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(scope="module")
async def vase_gateway(databases: Databases) -> AsyncIterator[VaseGateway]:
    database = databases.create()
    with logging_restored():
        configure_logging("workshop", "api", style="json")
        async with open_vase_gateway(database, max_body_bytes=2000) as vase_gateway:
            yield vase_gateway
    databases.drop(database)


async def test_a_created_object_can_be_read_and_its_price_stays_exact(client: httpx.AsyncClient) -> None:
    new_vase = await client.post("/vases", content=b'{"name": "Vase bleu", "price": 12.50}', headers=JSON)
    assert new_vase.status_code == 201
    response = await client.get(new_vase.headers["Location"].removeprefix("/api/v1"))
    assert response.status_code == 200
    assert response.text == f'{{"id":"{new_vase.json()["id"]}","name":"Vase bleu","price":12.50}}'


async def test_more_digits_than_a_float_has_are_preserved(client: httpx.AsyncClient) -> None:
    body = b'{"name": "Vase bleu", "price": 1.12345678901234567890123456789}'
    response = await client.post("/vases", content=body, headers=JSON)
    assert b'"price":1.12345678901234567890123456789' in response.content


@pytest.mark.parametrize(
    ("role", "path", "request_options", "status"),
    [
        (None, "/vases/nonsense/break", {"content": b"{", "headers": {"Content-Type": "text/plain"}}, 401),
        ("payments", "/vases/nonsense/break", {"content": b"{", "headers": {"Content-Type": "text/plain"}}, 403),
        ("warehouse", "/vases/nonsense/break", {"content": b"{", "headers": {"Content-Type": "text/plain"}}, 415),
        ("warehouse", "/vases/nonsense/break", {"content": b"{", "headers": JSON}, 400),
        ("warehouse", "/vases/nonsense/break", {"content": b"x" * 2001, "headers": JSON}, 413),
        ("warehouse", "/vases/nonsense/break", {}, 422),
        ("warehouse", "/vases/01920000-0000-7000-8000-000000000000/break", {}, 404),
    ],
)
async def test_of_several_errors_the_first_in_the_contracts_order_is_returned(
    vase_gateway: VaseGateway, role: str | None, path: str, request_options: dict[str, Any], status: int
) -> None:
    async with vase_gateway.client(role) as client:
        assert (await client.post(path, **request_options)).status_code == status


async def test_a_target_state_is_forbidden_only_for_an_existing_object(vase_gateway: VaseGateway) -> None:
    async with vase_gateway.client("client") as client, vase_gateway.client("warehouse") as warehouse:
        vase = (await client.post("/vases", json=VASE)).json()["id"]
        details = assert_error(await warehouse.post(f"/vases/{vase}/break"), 403, "FORBIDDEN")
        assert details == {"role": "warehouse"}


async def test_operators_may_do_everything(vase_gateway: VaseGateway) -> None:
    async with vase_gateway.client("ops") as ops:
        vase = (await ops.post("/vases", json=VASE)).json()["id"]
        assert (await ops.post(f"/vases/{vase}/break")).text == '"broken"'


async def test_without_a_valid_key_nothing_is_disclosed(vase_gateway: VaseGateway) -> None:
    async with vase_gateway.client(None) as client:
        answer = await client.post("/vases", json=VASE)
        assert_error(answer, 401, "UNAUTHENTICATED")
        assert answer.headers["WWW-Authenticate"].startswith("ApiKey")
        assert_error(await client.get("/vases", headers={"X-API-Key": "client_0.wrong"}), 401, "UNAUTHENTICATED")


async def test_unknown_routes_and_wrong_methods_have_the_common_error_format(vase_gateway: VaseGateway) -> None:
    async with vase_gateway.client(None) as client:
        assert_error(await client.get("/teapots"), 404, "NOT_FOUND")
        assert_error(await client.get("/vases/"), 404, "NOT_FOUND")
        wrong_method = await client.delete("/vases")
        assert_error(wrong_method, 405, "METHOD_NOT_ALLOWED")
        assert wrong_method.headers["Allow"] == "GET, HEAD, POST"


async def test_head_is_supported_wherever_get_is(vase_gateway: VaseGateway) -> None:
    async with vase_gateway.client() as client, vase_gateway.client(None) as anonymous:
        head, get = await client.head("/vases"), await client.get("/vases")
        assert (head.status_code, head.headers["Content-Length"]) == (200, get.headers["Content-Length"])
        assert (await client.head("/vases/nonsense")).status_code == 422
        assert (await client.head("/vases/faulty/paint")).status_code == 405
        assert (await anonymous.head("/vases")).status_code == 401
        assert (await anonymous.head("http://workshop/readyz")).status_code == 200


async def test_an_unknown_id_is_not_found(client: httpx.AsyncClient) -> None:
    vase = str(uuid4())
    assert assert_error(await client.get(f"/vases/{vase}"), 404, "NOT_FOUND") == {"vase": vase}


async def test_a_returned_problem_commits_the_transaction_and_a_raised_one_rolls_it_back(
    client: httpx.AsyncClient,
) -> None:
    assert_error(await client.post("/vases", json={**VASE, "name": "refused"}), 409, "CONFLICT")
    assert_error(await client.post("/vases", json={**VASE, "name": "refused and rolled back"}), 409, "CONFLICT")
    assert (await client.get("/vases?name=refused")).json() == 1


async def test_an_internal_error_is_logged_and_discloses_nothing(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        answer = await client.post("/vases/faulty")
    assert_error(answer, 500, "INTERNAL_ERROR")
    assert "kiln" not in answer.text
    [line_of_failure] = [line for line in logs if line["event"] == "request failed"]
    assert line_of_failure["trace_id"] == answer.headers["X-Request-Id"]
    assert isinstance(line_of_failure["exc_info"], RuntimeError)


async def test_without_its_database_the_service_responds_503_with_retry_after(database: Database) -> None:
    async with open_vase_gateway(database) as vase_gateway, vase_gateway.client() as client:
        assert (await client.get("/vases")).status_code == 200
        await vase_gateway.pool.close()
        answer = await client.get("/vases")
        assert_error(answer, 503, "UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) >= 1
        async with vase_gateway.client("payments") as uncached:
            assert_error(await uncached.get("/vases"), 503, "UNAVAILABLE")


@pytest.mark.parametrize("path", ["/teapots", "/vases/17", "/vases/faulty", "/vases"])
async def test_problem_json_is_sent_to_clients_that_accept_it(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, headers={"Accept": "application/problem+json, application/json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code


async def test_a_trace_is_continued_and_its_id_is_the_request_id(client: httpx.AsyncClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await client.post("/vases", json=VASE, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert answer.headers["X-Request-Id"] == trace
    assert answer.json()["traceparent"].startswith(f"00-{trace}-")
    assert "00f067aa0ba902b7" not in answer.json()["traceparent"]
    new_trace_response = await client.post(
        "/vases", json=VASE, headers={"traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"}
    )
    assert new_trace_response.headers["X-Request-Id"] not in (trace, "0" * 32)


async def test_every_request_writes_one_log_line_without_its_key(
    vase_gateway: VaseGateway, client: httpx.AsyncClient
) -> None:
    with capture_logs() as logs:
        await client.get("/vases?name=anna@example.com")
    [line] = logs
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/v1/vases", 200)
    assert line["caller"] == vase_gateway.keys["client"].partition(".")[0]
    assert vase_gateway.keys["client"].partition(".")[2] not in str(logs)
    assert "anna@example.com" not in str(logs)


async def test_requests_are_measured_by_route_and_summarised_in_the_json_metrics(
    vase_gateway: VaseGateway, client: httpx.AsyncClient
) -> None:
    vase = (await client.post("/vases", json=VASE)).json()["id"]
    await client.get(f"/vases/{vase}")
    metrics = (await client.get("/metrics")).json()
    assert metrics["vases"]["total"] >= 1
    assert 0 < metrics["performance"]["avg_response_time_ms"] <= 1000
    assert metrics["performance"]["p95_response_time_ms"] > 0
    assert "response_times" not in metrics
    histogram = (await client.get("/metrics?include=response_times")).json()["response_times"]
    assert histogram["seconds"] > 0
    assert sum(histogram["counts"].values()) >= 2
    async with vase_gateway.client(None) as anonymous:
        text = (await anonymous.get("http://workshop/metrics")).text
    assert 'duration_seconds_count{method="GET",route="/api/v1/vases/{vase_id}",status="200"}' in text
    assert vase not in text


async def test_the_openapi_page_loads_nothing_from_other_sites(vase_gateway: VaseGateway) -> None:
    async with vase_gateway.client(None) as anonymous:
        page = await anonymous.get("http://workshop/docs")
        assert page.status_code == 200
        addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(addresses) == 3
        for address in addresses:
            assert (await anonymous.get(f"http://workshop{address}")).status_code == 200, address


async def test_the_openapi_document_describes_the_errors_the_api_key_and_the_idempotency_key(
    vase_gateway: VaseGateway,
) -> None:
    async with vase_gateway.client(None) as anonymous:
        document = (await anonymous.get("http://workshop/openapi.json")).json()
    assert "HTTPValidationError" not in str(document)
    assert document["components"]["securitySchemes"]["ApiKeyAuth"]["name"] == "X-API-Key"
    operation = document["paths"]["/api/v1/vases"]["post"]
    assert {"201", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503"} <= set(operation["responses"])
    assert "application/problem+json" in operation["responses"]["422"]["content"]
    assert operation["security"] == [{"ApiKeyAuth": []}, {"BearerAuth": []}]
    assert [each["name"] for each in operation["parameters"]] == ["Idempotency-Key"]
    assert "security" not in document["paths"]["/api/v1/health"]["get"]
