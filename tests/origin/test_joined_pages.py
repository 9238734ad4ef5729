"""The pages of the origin that join what both gateways answer, and its documents."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from common.edge.observation.response_times import Histogram
from support.gateway.origin import CLOSED, origin_of
from support.gateway.raw_http import HOST, Answer, raw_server

METRICS, HEALTH = "/api/v1/metrics", "/api/v1/health"
CONNECTED = {"database": "connected", "kafka": "connected"}


@dataclass
class Gateway:
    """Answers each path with its document."""

    answers: dict[str, tuple[int, object]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests.append(scope)
        status, document = self.answers[scope["path"]]
        body = json.dumps(document).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"retry-after", b"7"),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def metrics_of(name: str, total: int, *seconds: float) -> tuple[int, dict[str, object]]:
    histogram = Histogram()
    for each in seconds:
        histogram.add(each)
    counts = {"total": total, "by_status": {"A": total}}
    return 200, {name: counts, "performance": histogram.performance(), "response_times": histogram.document()}


@asynccontextmanager
async def both(orders: Gateway | None, returns: Gateway | None, **changes: Any) -> AsyncIterator[Any]:
    async with raw_server(orders) as first, raw_server(returns) as second:
        urls = {
            "orders_url": first.server.address if orders else CLOSED,
            "returns_url": second.server.address if returns else CLOSED,
        }
        async with origin_of(**urls, **changes) as front, await front.connect() as client:

            async def get(path: str, method: str = "GET") -> Answer:
                head = f"{method} {path} HTTP/1.1\r\n".encode() + HOST + b"X-API-Key: k\r\nX-Other: o\r\n\r\n"
                await client.send(head)
                return await client.answer(has_body=method != "HEAD")

            yield get


def read(answer: Answer) -> tuple[int, Any]:
    return answer.status, json.loads(answer.body)


async def test_metrics_have_the_counts_of_both_and_the_response_times_of_all_requests() -> None:
    orders, returns = Gateway(), Gateway()
    orders.answers[METRICS] = metrics_of("orders", 5, *[0.01] * 98)
    returns.answers[METRICS] = metrics_of("returns", 3, 1.0, 3.0)
    async with both(orders, returns) as get:
        status, document = read(await get(METRICS))
        _, more = read(await get(f"{METRICS}?include=response_times"))
    assert status == 200
    assert list(document) == ["orders", "returns", "performance"]
    assert sum(more["response_times"]["counts"].values()) == 100
    assert document["orders"] == {"total": 5, "by_status": {"A": 5}}
    assert document["returns"] == {"total": 3, "by_status": {"A": 3}}
    assert document["performance"]["avg_response_time_ms"] == pytest.approx(49.8)
    assert document["performance"]["p95_response_time_ms"] == pytest.approx(10, rel=0.11)
    headers = dict(orders.requests[0]["headers"])
    assert (headers[b"x-api-key"], headers[b"x-forwarded-for"]) == (b"k", b"127.0.0.1")
    assert b"x-other" not in headers


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_a_refusal_of_metrics_is_the_answer(status: int) -> None:
    gateway = Gateway({METRICS: (status, {"error": {"code": "REFUSED"}})})
    async with both(gateway, gateway) as get:
        answer = await get(METRICS)
    assert read(answer) == (status, {"error": {"code": "REFUSED"}})
    assert answer.headers["retry-after"] == "7"


async def test_metrics_without_one_gateway_are_503_and_name_it() -> None:
    async with both(Gateway({METRICS: metrics_of("orders", 5)}), None) as get:
        status, document = read(await get(METRICS))
    assert (status, document["error"]["code"]) == (503, "UNAVAILABLE")
    assert document["error"]["details"] == {"unavailable": ["returns"]}


async def test_the_origin_is_healthy_if_both_gateways_are() -> None:
    gateway = Gateway({HEALTH: (200, {"status": "healthy", "timestamp": "", "services": CONNECTED})})
    async with both(gateway, gateway) as get:
        status, document = read(await get(HEALTH))
        assert (await get(HEALTH, "HEAD")).status == 200
    assert (status, document["status"]) == (200, "healthy")
    assert document["services"] == {**CONNECTED, "orders": "connected", "returns": "connected"}
    assert document["timestamp"]


async def test_an_unhealthy_or_missing_gateway_is_named_in_the_errors() -> None:
    down = {"status": "unhealthy", "services": {**CONNECTED, "kafka": "disconnected"}, "errors": ["kafka: slow"]}
    async with both(Gateway({HEALTH: (503, down)}), None) as get:
        status, document = read(await get(HEALTH))
    assert (status, document["status"]) == (503, "unhealthy")
    assert document["services"] == {
        "orders": "connected",
        "returns": "disconnected",
        "database": "connected",
        "kafka": "disconnected",
    }
    assert document["errors"] == ["orders: kafka: slow", "returns: no answer"]
    async with both(None, None) as get:
        status, document = read(await get(HEALTH))
    assert (status, set(document["services"].values())) == (503, {"disconnected"})


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/nothing", 404, "NOT_FOUND"), ("/api/v1/ops/jobs", 404, "NOT_FOUND"), ("/api/v1/ordersx", 404, "NOT_FOUND"),
     (f"{METRICS}?a=b", 422, "VALIDATION_ERROR"), ("/openapi.json", 404, "NOT_FOUND")],
)  # fmt: skip
async def test_any_other_address_is_answered_in_the_contracts_error_shape(path: str, status: int, code: str) -> None:
    async with both(None, None) as get:
        answer = await get(path)
        assert (answer.status, answer.error["code"]) == (status, code)
        posted = await get(METRICS, "POST")
        assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")


async def test_it_is_alive_ready_and_measured_while_no_gateway_runs() -> None:
    async with both(None, None) as get:
        assert (await get("/api/v1/orders")).status == 503
        assert [(await get(path)).status for path in ("/livez", "/readyz")] == [200, 200]
        assert b'origin_request_duration_seconds_count{status="503",target="orders"}' in (await get("/metrics")).body


async def test_the_documents_page_is_that_of_a_gateway_with_the_document_of_both(tmp_path: Path) -> None:
    servers = "servers: [{url: 'http://127.0.0.1:8000'}]"
    text = f"info: {{title: Both, version: 2026-11-29}}\n{servers}\npaths: {{/a: {{{servers}, get: {{}}}}}}\n"
    (tmp_path / "openapi.yaml").write_text(text)
    orders = Gateway({"/docs": (200, "page"), "/static-offline-docs/swagger-ui.css": (200, "style")})
    async with both(orders, None, openapi_file=tmp_path / "openapi.yaml") as get:
        assert read(await get("/docs")) == (200, "page")
        assert read(await get("/static-offline-docs/swagger-ui.css")) == (200, "style")
        _, document = read(await get("/openapi.json"))
    assert document["info"] == {"title": "Both", "version": "2026-11-29"}
    # Where the document is read is where it holds.
    assert (document["servers"], document["paths"]) == ([{"url": "/"}], {"/a": {"get": {}}})
