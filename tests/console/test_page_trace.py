"""All calls that the console makes for one page are in one trace."""

import asyncio
from typing import Any

import httpx
from common.access.auth import Role
from common.telemetry.trace_context import trace_id
from console.page_trace import begin_page_trace
from console.person import Credential, Person
from console.services.client import ServiceClient
from support.events.traceparent import TRACEPARENT


class Service:
    """Keeps the `traceparent` of each request."""

    def __init__(self) -> None:
        self.received: list[str] = []

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.received += [value.decode() for name, value in scope["headers"] if name == b"traceparent"]
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


async def calls_for_a_page(headers: list[tuple[bytes, bytes]]) -> list[str]:
    service = Service()
    person = Person("ada", Role.OPS, Credential("key", "secret"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service)) as http:
        client = ServiceClient("orders", "http://orders", http, person)

        async def page() -> None:
            begin_page_trace({"headers": headers})
            await asyncio.gather(client.get("/orders"), client.send("POST", "/orders", {}))

        await asyncio.create_task(page())
    return service.received


async def test_the_calls_for_a_page_have_one_trace() -> None:
    first, second = await calls_for_a_page([])
    assert first == second
    assert trace_id(first) != trace_id((await calls_for_a_page([]))[0])


async def test_the_trace_of_the_browser_or_proxy_continues() -> None:
    received = await calls_for_a_page([(b"traceparent", TRACEPARENT.encode())])
    assert {trace_id(each) for each in received} == {trace_id(TRACEPARENT)}
