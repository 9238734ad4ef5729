"""Forwards a request, whose body is complete, to a service, and streams its answer to the client."""

import asyncio
import re
from typing import Any

import httpcore

from origin.request_bodies import RequestBodies
from origin.upstream import Headers, Upstream

# They concern one connection only (RFC 9110, 7.6.1), beside those that the header Connection names.
_OF_ONE_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# What a client may say of itself; the origin says it of the client.
_ABOUT_THE_CLIENT = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip", b"forwarded"})
# The server of the origin has answered it with 100 Continue when the body is read.
_ANSWERED = frozenset({b"expect"})
_NOT_IN_A_TARGET = re.compile(rb"[^!-~]")


async def forward(upstream: Upstream, bodies: RequestBodies, scope: Any, receive: Any, send: Any) -> int:
    """Return the status. Raises `Problem` when there is no answer, `ClientGone`, and what `httpcore` raises when an
    answer ends too early: then a part of it is sent."""
    response = await _open(upstream, bodies, scope, receive)
    try:
        await _send_answer(response, receive, send)
    finally:
        await response.aclose()
    return response.status


async def _open(upstream: Upstream, bodies: RequestBodies, scope: Any, receive: Any) -> httpcore.Response:
    """The body is complete before a connection is taken: `httpcore` reads no answer until it has sent the body, so a
    client that sends slowly would hold the connection even after a refusal."""
    method, target, headers = scope["method"], target_of(scope), request_headers(scope)
    if not _has_body(scope["headers"]):
        return await upstream.open(method, target, headers)
    with bodies.hold() as body:
        await bodies.read(body, scope["headers"], receive)
        return await upstream.open(method, target, headers, body.parts())


def target_of(scope: Any) -> bytes:
    """Path and query as they were sent. Characters that a target cannot have are encoded, which means the same."""
    query: bytes = scope["query_string"]
    target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
    return _NOT_IN_A_TARGET.sub(lambda found: b"%%%02X" % found[0][0], target)


def request_headers(scope: Any) -> Headers:
    """In their order, also those that are given twice. `Host` is that of the client."""
    received: Headers = scope["headers"]
    without = _OF_ONE_CONNECTION | _ABOUT_THE_CLIENT | _ANSWERED | _named_by_connection(received)
    headers = [(name, value) for name, value in received if name not in without]
    if any(name == b"transfer-encoding" for name, _ in received):
        headers.append((b"transfer-encoding", b"chunked"))
    if not any(name == b"host" for name, _ in headers):  # HTTP/1.0
        headers.append((b"host", b"origin"))
    return [*headers, *client_headers(scope)]


def client_headers(scope: Any) -> Headers:
    client = scope["client"]
    address = [(b"x-forwarded-for", client[0].encode())] if client is not None else []
    return [*address, (b"x-forwarded-proto", scope["scheme"].encode())]


def _has_body(headers: Headers) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and int(value)) for name, value in headers)


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    """Never one that says where the body ends."""
    values = b",".join(value for name, value in headers if name == b"connection")
    return frozenset(each.strip().lower() for each in values.split(b",")) - {b"content-length", b"host"}


async def _send_answer(response: httpcore.Response, receive: Any, send: Any) -> None:
    without = _OF_ONE_CONNECTION | {b"date"}  # the server adds its own
    lower = [(name.lower(), value) for name, value in response.headers]
    headers = [(name, value) for name, value in lower if name not in without]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    gone = asyncio.create_task(_until_gone(receive))
    try:
        async for part in response.aiter_stream():
            if gone.done():  # a server drops what is sent to a client that has gone
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
