"""Request heads that the HTTP server accepts or rejects, byte by byte on real sockets."""

import json

import pytest
from support.gateway.raw_http import (
    GET,
    HOST,
    EchoApplication,
    assert_error,
    assert_other_clients_are_served,
    limits,
    post,
    raw_server,
)
from support.waiting import time_passes


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 5_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1000) for n in range(70)) + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"x" * 400_000,
    ],
    ids=["one header", "one header of 5 MB", "many headers", "no end"],
)
async def test_a_head_of_more_than_64_kib_is_rejected(head: bytes) -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        assert assert_error(await client.ask(head), 400, "BAD_REQUEST") == {"limit_bytes": 65536}
        await assert_other_clients_are_served(server)


async def test_a_head_of_more_than_64_kib_in_two_reads_is_rejected() -> None:
    head = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 70_000 + b"\r\n\r\n"
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        await client.send(head[:60_000])
        await time_passes(0.2, "the server reads the first part by itself")
        answer = await client.ask(head[60_000:])
        assert assert_error(answer, 400, "BAD_REQUEST") == {"limit_bytes": 65536}


async def test_a_head_of_slightly_less_than_64_kib_is_accepted() -> None:
    application = EchoApplication()
    async with raw_server(application) as server, await server.connect() as client:
        head = b"GET /hello HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 65_400 + b"\r\n\r\n"
        assert (await client.ask(head)).body == b"GET"
        assert (await client.ask(head[:100], head[100:])).body == b"GET"


@pytest.mark.parametrize("lines", [101, 200_000])
async def test_more_than_100_header_lines_are_rejected(lines: int) -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        answer = await client.ask(b"GET / HTTP/1.1\r\n" + HOST, b"a: b\r\n" * lines, b"\r\n")
        assert assert_error(answer, 400, "BAD_REQUEST") == {"limit_lines": 100}


async def test_100_header_lines_are_accepted() -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        assert (await client.ask(b"GET / HTTP/1.1\r\n" + HOST, b"a: b\r\n" * 99, b"\r\n")).status == 200


async def test_a_url_of_more_than_8_kib_is_rejected() -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        answer = await client.ask(b"GET /" + b"x" * 8192 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        assert assert_error(answer, 400, "BAD_REQUEST") == {"limit_bytes": 8192}


async def test_the_head_of_a_request_after_a_large_body_does_not_count_as_large() -> None:
    async with raw_server(EchoApplication(), limits(body_bytes=200_000)) as server, await server.connect() as client:
        requests = post(b"/echo", b"x" * 150_000) + GET[:30]
        await client.send(requests)
        assert len((await client.answer()).body) == 150_000
        assert (await client.ask(GET[30:])).body == b"GET"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a,b@\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity\r\n\r\nabc",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n",
        b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET hello HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b" folded: yes\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\n" + HOST + b"\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"G\xc3\x89T / HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
async def test_a_malformed_request_gets_the_common_error_format_and_the_connection_closes(request_bytes: bytes) -> None:
    application = EchoApplication()
    async with raw_server(application) as server, await server.connect() as client:
        assert_error(await client.ask(request_bytes), 400, "BAD_REQUEST")
        assert await client.rest() == b""
        assert all(scope["path"] == "/" for scope in application.scopes)


@pytest.mark.parametrize(
    "host", [b"a", b"a:80", b"127.0.0.1:8001", b"[::1]:80", b"xn--mnchen-3ya.example", b" a \t", b"a_b"]
)
async def test_a_valid_host_header_is_accepted(host: bytes) -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        assert (await client.ask(b"GET /hello HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")).status == 200


async def test_an_error_response_has_the_path_and_is_problem_json_when_accepted() -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        answer = await client.ask(b"GET /a%20b?c HTTP/1.1\r\nAccept: application/problem+json\r\n\r\n")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Host" in answer.error["message"]
        assert json.loads(answer.body)["instance"].startswith("/a")


async def test_the_error_response_to_a_head_request_has_no_body() -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        await client.send(b"HEAD / HTTP/1.1\r\n\r\n")
        answer = await client.answer(has_body=False)
        assert answer.status == 400
        assert await client.rest() == b""


@pytest.mark.parametrize("method", [b"FOO", b"get", b"M-SEARCH", b"PROPFIND", b"QUERY", b"X" * 32])
async def test_an_unknown_method_is_passed_to_the_application(method: bytes) -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        request = method + b" /hello HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}"
        assert (await client.ask(request)).body == method
        assert (await client.ask(GET)).body == b"GET"


async def test_the_method_connect_is_rejected() -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        answer = await client.ask(b"CONNECT shop.example:443 HTTP/1.1\r\n" + HOST + b"\r\n")
        assert_error(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
async def test_an_upgrade_is_ignored_and_the_connection_continues(upgrade: bytes) -> None:
    upgrade_headers = b"Upgrade: " + upgrade, b"Connection: Upgrade"
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        first = post(b"/echo", b"body", *upgrade_headers)
        await client.send(first + GET)
        assert (await client.answer()).body == b"body"
        assert (await client.answer()).body == b"GET"
        assert (await client.ask(first)).body == b"body"
        chunked = (
            b"POST /echo HTTP/1.1\r\n"
            + HOST
            + b"\r\n".join(upgrade_headers)
            + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        await client.send(chunked, b"2\r\nhi\r\n0\r\n\r\n")
        assert (await client.answer()).body == b"hi"


async def test_http_1_0_is_accepted_without_a_host_and_the_connection_closes() -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        answer = await client.ask(b"GET /hello HTTP/1.0\r\n\r\n")
        assert (answer.body, answer.headers["connection"]) == (b"GET", "close")
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "target", [b"http://shop.example/hello", b"http://shop.example/hello?a=b", b"HTTP://x:80/hello"]
)
async def test_an_absolute_url_is_accepted_as_the_request_target(target: bytes) -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        assert (await client.ask(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")).body == b"GET"


async def test_a_url_without_a_path_means_the_root() -> None:
    application = EchoApplication()
    async with raw_server(application) as server, await server.connect() as client:
        assert (await client.ask(b"GET http://shop.example?a HTTP/1.1\r\n" + HOST + b"\r\n")).status == 200
        assert (application.scopes[0]["path"], application.scopes[0]["query_string"]) == ("/", b"a")
