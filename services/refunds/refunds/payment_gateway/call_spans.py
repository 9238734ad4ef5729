"""A span around each HTTP call to the payment gateway, until the head of its answer (ADR 45)."""

import re
from types import SimpleNamespace

import aiohttp
from common.telemetry.tracing import outside_call

# A name with an id would be a new one for each payment.
_ID_IN_PATH = re.compile(r"/(?!v\d+(?:/|$))[^/]*\d[^/]*")


def call_spans() -> aiohttp.TraceConfig:
    """For a session. A span has the path of its request, with ids left out, and nothing else of it."""
    config = aiohttp.TraceConfig()
    config.on_request_start.append(_on_start)
    config.on_request_end.append(_on_end)
    config.on_request_exception.append(_on_exception)
    return config


async def _on_start(
    _session: aiohttp.ClientSession, call: SimpleNamespace, request: aiohttp.TraceRequestStartParams
) -> None:
    path = _ID_IN_PATH.sub("/{id}", request.url.path)
    call.span = outside_call(
        f"{request.method} {path}",
        {
            "http.request.method": request.method,
            "url.template": path,
            "server.address": request.url.host or "",
            "server.port": request.url.port or 0,
        },
    )


async def _on_end(
    _session: aiohttp.ClientSession, call: SimpleNamespace, request: aiohttp.TraceRequestEndParams
) -> None:
    status = request.response.status
    call.span.end({"http.response.status_code": status}, str(status) if status >= 400 else None)


async def _on_exception(
    _session: aiohttp.ClientSession, call: SimpleNamespace, request: aiohttp.TraceRequestExceptionParams
) -> None:
    call.span.end(error=request.exception)
