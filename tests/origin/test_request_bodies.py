"""Bodies of requests at the origin: slow, unfinished and too large ones, their memory and connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from common.errors import Code, Problem
from origin import upstream
from origin.request_bodies import SMALL_BYTES, ClientGone, RequestBodies, RequestBody
from support.gateway.origin import origin_of
from support.gateway.raw_http import HOST, EchoApplication, RawClient, RawServer, limits, post, raw_server
from support.waiting import eventually_true

ECHO = b"/api/v1/orders/echo"
LARGE = 10_000_000
LIMIT = 100_000


class Orders(EchoApplication):
    """The gateway of orders, which answers at these addresses as the application does at its own."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__({**scope, "path": scope["path"].removeprefix("/api/v1/orders")}, receive, send)


@asynccontextmanager
async def origin_before(orders: Orders) -> AsyncIterator[RawServer]:
    async with (
        raw_server(orders, limits(body_bytes=2**20)) as service,
        origin_of(orders_url=service.server.address) as front,
    ):
        yield front


async def begin(client: RawClient, size: int) -> None:
    """Send the head and the first byte of a body, which the origin has begun to read."""
    lines = b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % size
    assert (await client.ask(b"POST " + ECHO + b" HTTP/1.1\r\n" + HOST + lines)).status == 100
    await client.send(b"x")


async def test_more_slow_bodies_than_connections_to_a_service_leave_them_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream, "MAX_CONNECTIONS", 5)
    orders = Orders()
    async with origin_before(orders) as front, AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(await front.connect()) for _ in range(40)]
        await asyncio.gather(*(begin(each, 10) for each in slow))
        async with asyncio.timeout(upstream.POOL_SECONDS / 2), await front.connect() as other:
            assert (await other.ask(b"GET /api/v1/orders HTTP/1.1\r\n" + HOST + b"\r\n")).status == 200
            assert (await other.ask(post(ECHO, b"{}"))).body == b"{}"
        assert len(orders.scopes) == 2, "no slow request is at the service"
        for each in slow:
            await each.send(b"y" * 9)
        assert [(await each.answer()).body for each in slow] == [b"x" + b"y" * 9] * 40


async def test_readers_of_the_documents_leave_the_connections_of_orders_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They need no key, and may read slowly."""
    monkeypatch.setattr(upstream, "MAX_CONNECTIONS", 1)
    is_asked, is_read = asyncio.Event(), asyncio.Event()

    class SlowDocuments(Orders):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/docs":
                is_asked.set()
                await is_read.wait()
            await super().__call__(scope, receive, send)

    async with origin_before(SlowDocuments()) as front, await front.connect() as reader, await front.connect() as other:
        await reader.send(b"GET /docs HTTP/1.1\r\n" + HOST + b"\r\n")
        await is_asked.wait()
        async with asyncio.timeout(upstream.POOL_SECONDS / 2):
            assert (await other.ask(b"GET /api/v1/orders HTTP/1.1\r\n" + HOST + b"\r\n")).status == 200
        is_read.set()
        assert (await reader.answer()).status == 200


async def test_a_client_that_goes_within_its_body_never_reaches_the_service() -> None:
    orders = Orders()
    async with origin_before(orders) as front:
        async with await front.connect() as client:
            await begin(client, 10)
        await eventually_true(lambda: front.server.connections.number == 0)
    assert orders.scopes == []


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_above_the_limit_is_refused_by_the_origin_and_read_no_further(framing: str) -> None:
    body, orders = b"x" * LARGE, Orders()
    if framing == "chunked":
        head = b"POST " + ECHO + b" HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        request = head + b"%x\r\n%b\r\n0\r\n\r\n" % (LARGE, body)
    else:
        request = post(ECHO, body)
    async with origin_before(orders) as front, await front.connect() as client:
        answer = await client.ask(request)
    assert (answer.status, answer.error["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.error["details"] == {"limit_bytes": 2**20}
    assert orders.scopes == []


async def test_a_client_that_asks_first_is_told_that_its_body_is_too_large_and_sends_none() -> None:
    async with origin_before(Orders()) as front, await front.connect() as client:
        lines = b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % LARGE
        assert (await client.ask(b"POST " + ECHO + b" HTTP/1.1\r\n" + HOST + lines)).status == 413


class Arriving:
    """A body that arrives in the parts of a test, until one is empty."""

    def __init__(self, bodies: RequestBodies) -> None:
        self._parts = asyncio.Queue[bytes | None]()
        self._bodies = bodies
        self.held = RequestBody()
        self._is_busy = True
        self.task = asyncio.create_task(self._read())

    async def send(self, part: bytes | None) -> None:
        """The last part is empty; None stands for a client that has gone."""
        self._parts.put_nowait(part)
        await eventually_true(self._is_read)

    def _is_read(self) -> bool:
        return self._parts.empty() and (self.task.done() or not self._is_busy)

    async def _read(self) -> bytes:
        with self._bodies.hold() as self.held:
            await self._bodies.read(self.held, [], self._receive)
            return b"".join([part async for part in self.held.parts()])

    async def _receive(self) -> dict[str, Any]:
        self._is_busy = False
        part = await self._parts.get()
        self._is_busy = True
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": part != b""}

    async def problem(self) -> Problem:
        with pytest.raises(Problem) as raised:
            await self.task
        return raised.value


async def test_beyond_the_memory_for_large_bodies_the_one_that_arrives_longest_is_dropped_at_once() -> None:
    bodies = RequestBodies(LIMIT, held_bytes=LIMIT)
    first, second = Arriving(bodies), Arriving(bodies)
    await first.send(b"1" * 60_000)
    await second.send(b"2" * 60_000)
    assert (len(first.held.content), first.held.is_dropped) == (0, True)
    await second.send(b"")
    assert await second.task == b"2" * 60_000
    await first.send(b"1")
    problem = await first.problem()
    assert (problem.code, problem.details, problem.retry_after) == (Code.UNAVAILABLE, {"outcome": "none"}, 1)


async def test_a_small_body_is_never_dropped() -> None:
    bodies = RequestBodies(LIMIT, held_bytes=LIMIT)
    small = Arriving(bodies)
    await small.send(b"s" * SMALL_BYTES)
    large = [Arriving(bodies) for _ in range(5)]
    for each in large:
        await each.send(b"l" * LIMIT)
    assert [each.held.is_dropped for each in large] == [True] * 4 + [False]
    await small.send(b"")
    assert await small.task == b"s" * SMALL_BYTES
    for each in large:
        each.task.cancel()


async def test_a_complete_body_that_is_being_sent_is_not_dropped_for_a_new_one() -> None:
    bodies = RequestBodies(LIMIT, held_bytes=LIMIT)
    with bodies.hold() as complete:
        await bodies.read(complete, [], as_one_part(b"c" * 60_000))
        arriving = Arriving(bodies)
        await arriving.send(b"a" * 60_000)
        assert (await arriving.problem()).code is Code.UNAVAILABLE
        assert len(complete.content) == 60_000
    later = Arriving(bodies)
    await later.send(b"b" * LIMIT)
    await later.send(b"")
    assert await later.task == b"b" * LIMIT, "the memory of a body that was sent is free again"


async def test_the_memory_of_a_client_that_has_gone_is_free_again() -> None:
    bodies = RequestBodies(LIMIT, held_bytes=LIMIT)
    gone, other = Arriving(bodies), Arriving(bodies)
    await gone.send(b"g" * 90_000)
    await gone.send(None)
    with pytest.raises(ClientGone):
        await gone.task
    for part in (b"o" * 90_000, b""):
        await other.send(part)
    assert await other.task == b"o" * 90_000


def as_one_part(body: bytes) -> Any:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
