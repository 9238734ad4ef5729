"""What the origin forwards to a service, byte by byte, and what a client gets while a service fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.gateway.nginx import NGINX, Nginx, nginx
from support.gateway.origin import origin_of
from support.gateway.raw_http import HOST, RawClient, RawServer, limits, post, raw_server
from support.metrics.moved import moves
from support.waiting import eventually_true

ORDERS = b"/api/v1/orders"


@dataclass
class Service:
    """An upstream that answers with what it received: method, target, headers and body."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    gone: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = {"method": scope["method"], "headers": scope["headers"], "client": scope["client"], "body": b""}
        request["target"] = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self.requests.append(request)
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        if scope["path"].endswith("/stream"):
            await send(start)
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            await self.gate.wait()
            await send({"type": "http.response.body", "body": b"last"})
            return
        if scope["path"].endswith("/endless"):
            await send(start)
            while await self._is_there(receive):
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            self.gone += 1
            return
        if scope["path"].endswith("/broken"):
            await send(start)
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            raise RuntimeError("broken on purpose")
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            request["body"] += message["body"]
            request["parts"] = request.get("parts", 0) + 1
            if not message["more_body"]:
                break
        start["headers"] = [*self.headers, (b"content-length", str(len(request["body"])).encode())]
        await send(start)
        await send({"type": "http.response.body", "body": request["body"]})

    async def _is_there(self, receive: Any) -> bool:
        try:
            async with asyncio.timeout(0.001):
                message = await receive()
                return bool(message["type"] != "http.disconnect")
        except TimeoutError:
            return True


@dataclass
class Both:
    service: Service
    upstream: RawServer
    front: RawServer | Nginx

    async def connect(self) -> RawClient:
        return await self.front.connect()


PROXIES = [
    "origin",
    pytest.param("nginx", marks=pytest.mark.skipif(NGINX is None, reason="nginx is not installed")),
]


@pytest.fixture(params=PROXIES)
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Both]:
    """The origin, or nginx with the file of docker-compose.yml, before a service."""
    service = Service()
    async with raw_server(service, limits(body_bytes=2**30)) as upstream:
        if request.param == "origin":
            async with origin_of(orders_url=upstream.server.address) as front:
                yield Both(service, upstream, front)
        else:
            async with nginx(tmp_path, orders=upstream.server.address.removeprefix("http://")) as proxy:
                yield Both(service, upstream, proxy)


# nginx forwards what a client names in Connection, and connects anew for each request.
only_origin = pytest.mark.parametrize("both", PROXIES[:1], indirect=True)
# The origin reads a body whole: test_request_bodies.py.
only_nginx = pytest.mark.parametrize("both", PROXIES[1:], indirect=True)


def received(both: Both, name: bytes) -> list[bytes]:
    return [value for each, value in both.service.requests[-1]["headers"] if each == name]


async def test_method_target_and_headers_arrive_as_they_were_sent(both: Both) -> None:
    target = ORDERS + b"/%7e%2F..//x?q=a%20b&q=%00&e"
    lines = b"X-API-Key: one\r\nX-API-Key: two\r\nX-Odd: \xe9\r\nAccept: a, b\r\nAccept: c\r\nuser_agent: x\r\n"
    async with await both.connect() as client:
        answer = await client.ask(b"DELETE " + target + b" HTTP/1.1\r\n" + HOST + lines + b"\r\n")
    assert answer.status == 200
    request = both.service.requests[0]
    assert (request["method"], request["target"]) == ("DELETE", target)
    assert received(both, b"x-api-key") == [b"one", b"two"]
    assert received(both, b"accept") == [b"a, b", b"c"]
    assert received(both, b"x-odd") == [b"\xe9"]
    assert received(both, b"user_agent") == [b"x"]
    assert received(both, b"host") == [b"shop.example"]
    assert received(both, b"accept-encoding") == []


@only_origin
async def test_headers_of_one_connection_are_not_forwarded(both: Both) -> None:
    lines = b"Connection: keep-alive, X-Hop, Content-Length\r\nX-Hop: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\n"
    async with await both.connect() as client:
        await client.ask(b"POST " + ORDERS + b" HTTP/1.1\r\n" + HOST + lines + b"Content-Length: 2\r\n\r\n{}")
    assert [received(both, name) for name in (b"x-hop", b"te", b"keep-alive")] == [[], [], []]
    assert both.service.requests[0]["body"] == b"{}"


async def test_the_answer_arrives_with_its_status_and_headers_also_repeated_ones(both: Both) -> None:
    both.service.status = 409
    both.service.headers = [
        (b"x-a", b"1"),
        (b"x-a", b"2"),
        (b"retry-after", b"3"),
        (b"connection", b"x-b"),
    ]
    async with await both.connect() as client:
        await client.send(post(ORDERS, b"answer"))
        answer = await client.answer()
    assert (answer.status, answer.headers["retry-after"]) == (409, "3")
    assert answer.headers["x-a"] == "2"


@pytest.mark.parametrize("size", [0, 1, 100_000, 1_000_000])
async def test_a_body_arrives_unchanged_with_a_length_and_in_chunks(both: Both, size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[: size // 3], body[size // 3 :]) if part)
    async with await both.connect() as client:
        await client.ask(post(ORDERS, body))
        assert both.service.requests[-1]["body"] == body
        head = b"POST " + ORDERS + b" HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        await client.ask(head, chunked + b"0\r\n\r\n")
        assert both.service.requests[-1]["body"] == body
    assert len(both.service.requests) == 2


@only_nginx
async def test_nginx_streams_a_request_body_before_it_is_complete(both: Both) -> None:
    async with await both.connect() as client:
        await client.send(b"POST " + ORDERS + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\n", b"first")
        await eventually_true(lambda: both.service.requests and both.service.requests[0]["body"] == b"first")
        await client.send(b" last"[:5])
        assert (await client.answer()).body == b"first last"


async def test_an_answer_is_streamed_before_it_is_complete(both: Both) -> None:
    async with await both.connect() as client:
        await client.send(b"GET " + ORDERS + b"/stream HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        head = await client.answer()
        assert head.headers["transfer-encoding"] == "chunked"
        assert await client._reader.readuntil(b"first\r\n") == b"5\r\nfirst\r\n"
        both.service.gate.set()
        assert await client.rest() == b"4\r\nlast\r\n0\r\n\r\n"


@only_origin
async def test_a_connection_is_kept_for_the_next_request_on_both_sides(both: Both) -> None:
    async with await both.connect() as client:
        for _ in range(5):
            assert (await client.ask(post(ORDERS, b"again"))).body == b"again"
    assert len({each["client"] for each in both.service.requests}) == 1


async def test_head_and_expect_continue_pass(both: Both) -> None:
    async with await both.connect() as client:
        await client.send(b"HEAD " + ORDERS + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await client.answer(has_body=False)).status == 200
    async with await both.connect() as client:
        await client.send(
            b"POST " + ORDERS + b" HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert (await client.answer()).status == 100
        await client.send(b"{}")
        assert (await client.answer()).body == b"{}"
    assert received(both, b"expect") == []


async def test_the_service_sees_the_client_and_nothing_that_the_client_says_of_itself(both: Both) -> None:
    lines = b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n"
    async with await both.connect() as client:
        await client.ask(b"GET " + ORDERS + b" HTTP/1.1\r\n" + HOST + lines + b"\r\n")
    # nginx appends: a service reads the list from the right.
    assert received(both, b"x-forwarded-for")[0].split(b", ")[-1] == b"127.0.0.1"
    assert received(both, b"forwarded") == received(both, b"x-real-ip") == []


async def test_the_client_before_a_trusted_proxy_is_passed_on() -> None:
    service = Service()
    async with raw_server(service) as upstream:
        changes = {"orders_url": upstream.server.address, "trusted_proxies": "127.0.0.1", "source_address": "127.0.0.2"}
        async with origin_of(**changes) as front, await front.connect() as client:
            lines = b"X-Forwarded-For: 1.2.3.4, 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"
            await client.ask(b"GET " + ORDERS + b" HTTP/1.1\r\n" + HOST + lines + b"\r\n")
    headers = dict(service.requests[0]["headers"])
    assert (headers[b"x-forwarded-for"], headers[b"x-forwarded-proto"]) == (b"203.0.113.7", b"https")
    assert service.requests[0]["client"][0] == "127.0.0.2"


AMBIGUOUS = [
    b"Content-Length: 2\r\nContent-Length: 3\r\n",
    b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Content-Length: +2\r\n",
    b"Content-Length: 2,2\r\n",
    b"Content-Length: 0x2\r\n",
    b"Content-Length: -2\r\n",
    b"Content-Length: 2\r\n X: folded\r\n",
    b"Content-Length:\x0b2\r\n",
    b"X\x00: 1\r\nContent-Length: 2\r\n",
]


@pytest.mark.parametrize("framing", AMBIGUOUS, ids=repr)
async def test_a_request_whose_end_is_ambiguous_is_refused_and_never_forwarded(both: Both, framing: bytes) -> None:
    smuggled = b"0\r\n\r\nGET " + ORDERS + b"/smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
    async with await both.connect() as client:
        await client.send(b"POST " + ORDERS + b" HTTP/1.1\r\n" + HOST + framing + b"\r\n", smuggled)
        answer = await client.answer()
        assert (answer.status, answer.error["code"]) == (400, "BAD_REQUEST")
        assert answer.headers["connection"] == "close"
        assert await client.rest() == b""
    assert both.service.requests == []


async def test_a_body_that_the_service_refuses_early_gets_the_refusal() -> None:
    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        body = json.dumps({"error": {"code": "UNAUTHENTICATED", "message": "", "details": {}}}).encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 401, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    async with (
        raw_server(refusing) as upstream,
        origin_of(orders_url=upstream.server.address) as front,
        await front.connect() as client,
    ):
        answer = await client.ask(post(ORDERS, b"x" * 1_000_000))
    assert (answer.status, answer.error["code"]) == (401, "UNAUTHENTICATED")


async def test_a_service_that_is_down_is_503_with_the_contracts_error_and_the_other_one_answers(both: Both) -> None:
    async with await both.connect() as client:
        answer = await client.ask(post(b"/api/v1/returns", b"{}"))
        assert (answer.status, answer.error["code"]) == (503, "UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"
        assert answer.error["details"]["outcome"] in ("none", "unknown")
        assert (await client.ask(post(ORDERS, b"{}"))).status == 200


@moves("origin_unanswered_requests_total")
async def test_a_service_that_closes_without_an_answer_is_503_and_a_reading_request_is_repeated() -> None:
    calls = 0

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with origin_of(orders_url=url) as front, await front.connect() as client:
            assert (await client.ask(post(ORDERS, b"{}"))).error["code"] == "UNAVAILABLE"
            assert calls == 1
            answer = await client.ask(b"GET " + ORDERS + b" HTTP/1.1\r\n" + HOST + b"\r\n")
            assert answer.error["code"] == "UNAVAILABLE"
            assert calls == 3


async def test_an_answer_that_breaks_off_ends_the_connection_and_is_not_completed(both: Both) -> None:
    async with await both.connect() as client:
        await client.send(b"GET " + ORDERS + b"/broken HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await client.answer()).status == 200
        assert not (await client.rest()).endswith(b"0\r\n\r\n")


async def test_the_service_learns_that_a_client_has_gone(both: Both) -> None:
    async with await both.connect() as client:
        await client.send(b"GET " + ORDERS + b"/endless HTTP/1.1\r\n" + HOST + b"\r\n")
        await client.answer()
    await eventually_true(lambda: both.service.gone == 1)


@only_nginx
async def test_the_service_learns_that_a_client_has_gone_within_its_body(both: Both) -> None:
    async with await both.connect() as client:
        await client.send(b"POST " + ORDERS + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\n", b"first")
        await eventually_true(lambda: len(both.service.requests) == 1)
    await eventually_true(lambda: both.service.gone == 1)
