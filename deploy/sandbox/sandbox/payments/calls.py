"""Calls of the payment API: their record in the ledger, and the faults that lose a request or its answer."""

import math
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from sandbox.connection import connection_of, response_bytes
from sandbox.faults import Fault, Mode
from sandbox.http_server import ServerStoppingError, hold_until_disconnect, pause
from sandbox.payments.ledger import Call
from sandbox.payments.provider import Provider

CALL_FAULTS = {
    "fail": Mode(),
    "conflict": Mode(),
    "unavailable": Mode(),
    "rate_limit": Mode(optional=frozenset({"retry_after_seconds"})),
    "timeout_before_apply": Mode(),
    "timeout_after_apply": Mode(),
    "fail_after_apply": Mode(),
    "decline": Mode(),
    "slow": Mode(required=frozenset({"delay_seconds"})),
    "lookup_lag": Mode(required=frozenset({"delay_seconds"}), optional=frozenset({"loses_answer"})),
    "reset_request": Mode(required=frozenset({"after_bytes"})),
    "reset_response": Mode(required=frozenset({"after_bytes"})),
}
# Faults that prevent the refund; no response is stored for the idempotency key.
REFUSALS = frozenset({"fail", "conflict", "unavailable", "rate_limit"})
_LOST_ANSWERS = frozenset({"timeout_after_apply", "reset_request", "reset_response"})

Endpoint = Callable[[Request, Call], Awaitable[Response]]


class CallError(Exception):
    """An error response in the provider's format; `outcome` is that of the call in the ledger."""

    def __init__(self, response: Response, outcome: str) -> None:
        super().__init__(outcome)
        self.response = response
        self.outcome = outcome


def new_call(request: Request) -> Call:
    return Call(
        id=f"req_{secrets.token_hex(8)}",
        received_at=datetime.now(UTC).isoformat(),
        method=request.method,
        path=request.url.path,
        idempotency_key=request.headers.get("idempotency-key") or None,
    )


def recorded(provider: Provider, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an endpoint so that each call to it is stored in the ledger, whatever its outcome."""

    async def respond(request: Request) -> Response:
        call = new_call(request)
        try:
            return await endpoint(request, call)
        except ServerStoppingError:
            return await hold_until_disconnect(request)
        except CallError as error:
            provider.record_call(call, error.outcome, error.response.status_code)
            return error.response

    return respond


def loses_answer(fault: Fault | None) -> bool:
    return fault is not None and (fault.mode in _LOST_ANSWERS or bool(fault.loses_answer))


def lookup_lag(fault: Fault | None) -> float:
    return fault.delay_seconds or 0 if fault is not None and fault.mode == "lookup_lag" else 0


def retry_after(fault: Fault) -> dict[str, str]:
    if fault.mode != "rate_limit":
        return {}
    return {"Retry-After": str(1 if fault.retry_after_seconds is None else math.ceil(fault.retry_after_seconds))}


async def lose_request(provider: Provider, request: Request, call: Call, fault: Fault | None) -> Response | None:
    """If the fault says so, the request never arrives at the provider, and the response is None otherwise.

    A request that is reset after its last byte has arrived; the client cannot see the difference.
    """
    if fault is not None and fault.mode == "timeout_before_apply":
        provider.record_call(call, "lost")
        return await hold_until_disconnect(request)
    if fault is not None and fault.mode == "reset_request":
        connection = connection_of(request)
        if (fault.after_bytes or 0) < connection.request_bytes:
            provider.record_call(call, "lost")
            connection.reset()
            return await hold_until_disconnect(request)
    return None


async def delay_request(provider: Provider, request: Request, call: Call, fault: Fault | None) -> None:
    if fault is not None and fault.mode == "slow":
        provider.record_call(call, "delayed")
        await pause(request, fault.delay_seconds or 0)


async def send_or_lose(request: Request, response: Response, fault: Fault | None) -> Response:
    """Send the response, or the part of it that the fault leaves."""
    if fault is None or not loses_answer(fault):
        return response
    if fault.mode in ("reset_request", "lookup_lag"):
        connection_of(request).reset()
    elif fault.mode == "reset_response":
        connection_of(request).reset(response_bytes(response)[: fault.after_bytes])
    return await hold_until_disconnect(request)
