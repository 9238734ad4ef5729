"""The span of a request: its name, attributes and status; it leaves out what could be personal."""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from support.events.traceparent import TRACEPARENT
from support.gateway.vase_service import VASE, VaseGateway
from support.telemetry.recorded_spans import RecordedSpans, recorded_spans


@pytest.fixture
def spans() -> Iterator[RecordedSpans]:
    with recorded_spans() as spans:
        yield spans


async def test_a_request_is_a_span_named_by_its_route(client: httpx.AsyncClient, spans: RecordedSpans) -> None:
    vase_id = uuid4()
    answer = await client.get(f"/vases/{vase_id}", headers={"traceparent": TRACEPARENT, "User-Agent": "Ada's phone"})
    [span] = spans.ended
    assert (span.name, span.kind, span.error) == ("GET /api/v1/vases/{vase_id}", "server", None)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/api/v1/vases/{vase_id}",
        "http.response.status_code": 404,
        "url.scheme": "http",
        "url.path": f"/api/v1/vases/{vase_id}",
        "articurated.vase_id": str(vase_id),
    }
    assert (span.trace_id, span.parent_id) == (TRACEPARENT[3:35], TRACEPARENT[36:52])
    assert answer.headers["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"


async def test_a_change_carries_the_span_of_its_request(client: httpx.AsyncClient, spans: RecordedSpans) -> None:
    answer = await client.post("/vases", json=VASE)
    [span] = spans.ended
    assert answer.json()["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"


async def test_a_request_that_fails_in_the_service_has_an_error(
    client: httpx.AsyncClient, spans: RecordedSpans
) -> None:
    await client.post("/vases/faulty")
    [span] = spans.ended
    assert (span.error, span.attributes["error.type"]) == ("500", "500")


async def test_the_query_and_unknown_methods_are_left_out(client: httpx.AsyncClient, spans: RecordedSpans) -> None:
    await client.get("/vases?name=ada@example.com")
    await client.request("BREW", "/teapots/ada@example.com")
    for span in spans.ended:
        assert not [value for value in span.attributes.values() if "ada" in str(value)]
    assert [span.name for span in spans.ended] == ["GET /api/v1/vases", "_OTHER"]


async def test_what_monitoring_asks_for_has_no_span(vase_gateway: VaseGateway, spans: RecordedSpans) -> None:
    async with vase_gateway.client() as client:
        for path in ("/livez", "/readyz", "/metrics", "/api/v1/health", "/api/v1/metrics"):
            await client.get(f"http://workshop{path}")
    assert spans.ended == []
