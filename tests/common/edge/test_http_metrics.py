"""HTTP metrics of requests in which the application fails or the client disconnects."""

from typing import Any

import pytest
from common.edge.admission.running_requests import RunningRequests
from common.edge.observation.request_observer import CLIENT_GONE, DURATION, RequestObserver
from common.edge.observation.response_times import ResponseTimes
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs
from support.gateway.raw_http import SETTINGS


async def call(app: ASGIApp, **scope: Any) -> list[Message]:
    """The messages that the application sends for one request."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    request = {"type": "http", "method": "GET", "path": "/vases", "headers": [], "query_string": b"", **scope}
    await RequestObserver(app, ResponseTimes(), RunningRequests(SETTINGS))(request, receive, send)
    return messages


def request_count(method: str, status: int) -> float:
    labels = {"method": method, "route": "(no route)", "status": str(status)}
    [metric] = DURATION.collect()
    return next((each.value for each in metric.samples if each.name.endswith("_count") and each.labels == labels), 0.0)


async def test_an_application_error_during_the_response_is_raised_to_the_server() -> None:
    async def breaks_off(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("the kiln went out")

    with capture_logs() as logs, pytest.raises(RuntimeError, match="kiln"):
        await call(breaks_off)
    assert [line["event"] for line in logs] == ["request failed", "request"]


async def test_a_client_that_disconnects_gets_no_response_and_is_counted() -> None:
    async def reads(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    before = request_count("GET", CLIENT_GONE)
    assert await call(reads) == []
    assert request_count("GET", CLIENT_GONE) == before + 1


async def test_an_unknown_method_creates_no_metric_series() -> None:
    async def respond_405(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 405, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    before = request_count("other", 405)
    await call(respond_405, method="BREW")
    await call(respond_405, method="STEEP")
    assert request_count("other", 405) == before + 2
    assert request_count("BREW", 405) == 0


async def test_other_scopes_than_requests_are_passed_through() -> None:
    scope_types: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        scope_types.append(scope["type"])

    assert await call(app, type="lifespan") == []
    assert scope_types == ["lifespan"]
