"""Limits of connections and requests, and how the server stops."""

import asyncio

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
from support.waiting import eventually_true


async def test_the_longest_waiting_connection_is_closed_for_a_new_one() -> None:
    async with (
        raw_server(EchoApplication(), limits(connections=3, head_seconds=2)) as server,
        await server.connect() as half_sent,
        await server.connect() as idle,
        await server.connect() as unused,
    ):
        await half_sent.send(b"GET / HT")
        await eventually_true(lambda: server.server.connections.now > 0)
        assert (await idle.ask(GET)).status == 200
        assert (await unused.ask(GET)).status == 200
        await assert_other_clients_are_served(server)
        assert_error(await half_sent.answer(), 503, "UNAVAILABLE")
        assert await half_sent.rest() == b""
        assert (await idle.ask(GET)).status == 200
        assert (await unused.ask(GET)).status == 200


async def test_many_incomplete_requests_do_not_block_other_clients() -> None:
    async with raw_server(EchoApplication(), limits(connections=50)) as server:
        attackers = [await server.connect() for _ in range(200)]
        for each in attackers[:100]:
            each.writer.write(b"GET / HTTP/1.1\r\nA: b")
        for _ in range(10):
            await assert_other_clients_are_served(server)
        assert server.server.connections.number <= 50


async def test_a_connection_above_the_limit_gets_503_while_all_others_are_active() -> None:
    application = EchoApplication()
    async with raw_server(application, limits(connections=2)) as server:
        busy = [await server.connect() for _ in range(2)]
        for each in busy:
            await each.send(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
        await eventually_true(lambda: len(application.scopes) == 2)
        for _ in range(3):
            async with await server.connect() as client:
                answer = await client.ask(GET)
                assert_error(answer, 503, "UNAVAILABLE")
                assert answer.headers["retry-after"] == "1"
        application.gate.set()
        assert [(await each.answer()).body for each in busy] == [b"at last"] * 2


async def test_pipelined_requests_are_answered_in_order_up_to_a_limit() -> None:
    application = EchoApplication()
    async with raw_server(application) as server, await server.connect() as client:
        await client.send(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n" + GET * 5000)
        await eventually_true(lambda: len(application.scopes) == 1)
        application.gate.set()
        assert (await client.answer()).body == b"at last"
        for _ in range(100):
            assert (await client.answer()).body == b"GET"
        assert_error(await client.answer(), 400, "BAD_REQUEST")


async def test_requests_before_a_malformed_one_are_answered_first() -> None:
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        await client.send(GET + post(b"/echo", b"abc") + b"nonsense\r\n\r\n")
        assert (await client.answer()).body == b"GET"
        assert (await client.answer()).body == b"abc"
        assert_error(await client.answer(), 400, "BAD_REQUEST")


async def test_a_client_that_is_still_sending_can_read_an_error_response() -> None:
    """Closing a connection with unread input resets it, and a reset discards data that the client has not read yet."""
    async with raw_server(EchoApplication()) as server, await server.connect() as client:
        await client.send(b"GET / HTTP/1.1\r\n", *[b"x" * 1_000_000] * 30)
        assert_error(await client.answer(), 400, "BAD_REQUEST")


async def test_after_an_error_response_the_server_waits_only_a_limited_time_for_the_client() -> None:
    async with (
        raw_server(EchoApplication(), limits(linger_seconds=0.3, head_seconds=1)) as server,
        await server.connect() as client,
    ):
        assert_error(await client.ask(b"nonsense\r\n\r\n"), 400, "BAD_REQUEST")
        await eventually_true(lambda: server.server.connections.number == 0, within=5)


async def test_the_server_stops_in_time_with_a_thousand_incomplete_requests() -> None:
    http_limits = limits(connections=2000, stopping_seconds=0.5)
    async with raw_server(EchoApplication(), http_limits) as server:
        clients = await asyncio.gather(*(server.connect() for _ in range(1000)))
        halves = [b"", b"GET /hel", GET[:-2], post(b"/echo", b"abc")[:-1], b"nonsense\r\n\r\n"]
        for number, client in enumerate(clients):
            await client.send(halves[number % len(halves)])
        async with await server.connect() as unread:
            await unread.send(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
            await eventually_true(lambda: server.server.connections.number == 1001)


async def test_an_active_request_is_completed_when_the_server_stops() -> None:
    application = EchoApplication()
    async with raw_server(application) as server, await server.connect() as client:
        await client.send(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
        await eventually_true(lambda: bool(application.scopes))
        asyncio.get_running_loop().call_later(0.3, application.gate.set)
        answer = asyncio.create_task(client.answer())
        server.server._server.should_exit = True
        assert (await answer).body == b"at last"
