"""Time limits for clients that send or read slowly."""

import asyncio

import pytest
from support.gateway.raw_http import (
    GET,
    HOST,
    EchoApplication,
    RawServer,
    assert_error,
    limits,
    raw_server,
)
from support.waiting import eventually_true, time_passes


@pytest.mark.parametrize(
    "parts",
    [b"GET /hello HT", GET[:-2], b"P", b"\r\nGET / HTTP/1.1\r\nA: b"],
    ids=["line", "headers", "byte", "blank line"],
)
async def test_an_incomplete_head_times_out(parts: bytes) -> None:
    async with raw_server(EchoApplication(), limits(head_seconds=0.3)) as server, await server.connect() as client:
        details = assert_error(await client.ask(parts), 400, "BAD_REQUEST")
        assert details == {"limit_seconds": 0.3}
        assert await client.rest() == b""


async def test_a_head_that_arrives_byte_by_byte_has_the_same_timeout() -> None:
    async with raw_server(EchoApplication(), limits(head_seconds=0.3)) as server, await server.connect() as client:
        await client.send(b"GET / HTTP/1.1\r\n")
        answer = asyncio.create_task(client.answer())
        while not answer.done():
            client.writer.write(b"a")
            await time_passes(0.02, "the head arrives byte by byte")
        assert_error(await answer, 400, "BAD_REQUEST")


@pytest.mark.parametrize("parts", [b"", b"\r\n" * 10])
async def test_a_connection_that_sends_no_request_is_closed(parts: bytes) -> None:
    async with raw_server(EchoApplication(), limits(head_seconds=0.2)) as server, await server.connect() as client:
        await client.send(parts)
        assert await client.rest() == b""


async def test_an_idle_connection_is_closed_after_the_keep_alive_time() -> None:
    http_limits = limits(head_seconds=0.1, keep_alive_seconds=2)
    async with raw_server(EchoApplication(), http_limits) as server, await server.connect() as client:
        for _ in range(2):
            assert (await client.ask(GET)).body == b"GET"
            await time_passes(0.4, "the connection is idle for longer than a head may take")
        assert await client.rest() == b""


@pytest.mark.parametrize("head", [b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"])
async def test_an_incomplete_body_times_out(head: bytes) -> None:
    application = EchoApplication()
    async with raw_server(application, limits(body_seconds=0.3)) as server, await server.connect() as client:
        answer = await client.ask(b"POST /echo HTTP/1.1\r\n" + HOST + head)
        assert assert_error(answer, 400, "BAD_REQUEST") == {"limit_seconds": 0.3}
        await eventually_true(lambda: application.client_gone == 1)


async def test_an_incomplete_body_times_out_after_its_response_too() -> None:
    http_limits = limits(body_seconds=0.3, linger_seconds=0.3)
    async with raw_server(EchoApplication(), http_limits) as server, await server.connect() as client:
        answer = await client.ask(b"POST /closed HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc")
        assert answer.status == 401
        assert await client.rest() == b""


async def test_an_application_may_take_longer_than_the_timeouts_of_the_client() -> None:
    application = EchoApplication()
    http_limits = limits(head_seconds=0.1, body_seconds=0.1, stall_seconds=0.1)
    async with raw_server(application, http_limits) as server, await server.connect() as client:
        await client.send(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
        asyncio.get_running_loop().call_later(0.5, application.gate.set)
        assert (await client.answer()).body == b"at last"


async def test_a_response_that_is_not_read_times_out() -> None:
    async with raw_server(EchoApplication(), limits(stall_seconds=0.3)) as server, await server.connect() as client:
        await client.send(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await eventually_true(lambda: server.server.connections.unsent_bytes > 0)
        await eventually_true(lambda: server.server.connections.number == 0, within=5)


async def test_pipelined_responses_that_are_not_read_time_out_without_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with raw_server(EchoApplication(), limits(stall_seconds=0.3)) as server, await server.connect() as client:
        await client.send((b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n") * 5)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await eventually_true(lambda: server.server.connections.unsent_bytes > 0)
        await eventually_true(lambda: server.server.connections.number == 0, within=5)
    assert not [record for record in caplog.records if record.name == "uvicorn.error" and record.levelno >= 30]


async def test_a_response_that_is_read_slowly_but_steadily_is_sent_completely() -> None:
    async with raw_server(EchoApplication(), limits(stall_seconds=1)) as server, await server.connect() as client:
        await client.send(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        size = 0
        while size < 20_000_000:
            await time_passes(0.05, "reading the whole response takes longer than the stall timeout")
            size += len(await client._reader.readexactly(min(500_000, 20_000_000 - size)))
        assert server.server.connections.number == 1


async def test_the_total_size_of_unread_responses_is_bounded_and_the_oldest_is_dropped_first() -> None:
    async with raw_server(EchoApplication(), limits(unsent_bytes=30_000_000)) as server:
        clients = [await server.connect() for _ in range(3)]
        for client, connection_count in zip(clients, [3, 2, 1], strict=True):
            await client.send(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await _until_number(server, connection_count)
            await eventually_true(lambda: server.server.connections.unsent_bytes > 5_000_000)
        clients[2].writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len((await clients[2].answer()).body) == 20_000_000


async def _until_number(server: RawServer, number: int) -> None:
    await eventually_true(lambda: server.server.connections.number == number)
