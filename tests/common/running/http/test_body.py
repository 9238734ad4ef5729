"""Request bodies that the HTTP server accepts or rejects."""

import pytest
from support.gateway.raw_http import GET, HOST, EchoApplication, assert_error, post, raw_server
from support.waiting import eventually_true


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"3\r\nabcd\r\n", b"-1\r\n", b"3;" + b"x" * 300_000])
async def test_invalid_chunks_are_rejected_while_the_application_waits_for_them(chunks: bytes) -> None:
    application = EchoApplication()
    async with raw_server(application) as server, await server.connect() as client:
        await client.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await eventually_true(lambda: bool(application.scopes))
        assert_error(await client.ask(chunks), 400, "BAD_REQUEST")
        await eventually_true(lambda: application.client_gone == 1)


async def test_trailers_do_not_become_headers_and_their_size_is_bounded() -> None:
    application = EchoApplication()
    chunked = b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
    async with raw_server(application) as server, await server.connect() as client:
        assert (await client.ask(chunked + b"X-API-Key: stolen\r\n\r\n")).body == b"hi"
        assert [name for name, _ in application.scopes[0]["headers"]] == [b"host", b"transfer-encoding"]
        assert_error(await client.ask(chunked + b"a: b\r\n" * 102), 400, "BAD_REQUEST")


async def test_the_application_responds_to_a_content_length_above_the_limit_and_the_connection_closes() -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        head = b"POST /closed HTTP/1.1\r\n" + HOST + b"Content-Length: 50000000\r\n\r\n"
        answer = await client.ask(head, b"x" * 3_000_000)
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert await client.rest() == b""


async def test_a_chunked_body_that_exceeds_the_limit_after_its_response_closes_the_connection() -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        chunked = b"POST /closed HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        assert (await client.ask(chunked)).status == 401
        await client.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        assert await client.rest() == b""


async def test_a_body_that_the_application_does_not_read_is_discarded_and_the_connection_continues() -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        assert (await client.ask(post(b"/closed", b"x" * 500))).status == 401
        assert (await client.ask(GET)).body == b"GET"


async def test_an_error_response_to_expect_100_continue_closes_the_connection() -> None:
    expecting = b"POST %s HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    async with raw_server(EchoApplication()) as server:
        async with await server.connect() as client:
            answer = await client.ask(expecting % b"/closed")
            assert (answer.status, answer.headers["connection"]) == (401, "close")
        async with await server.connect() as client:
            assert (await client.ask(expecting % b"/echo")).status == 100
            assert (await client.ask(b"abc")).body == b"abc"
