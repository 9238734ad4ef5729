"""The trace of a page: all calls that are made for it have the same one, also in the services' logs (ADR 45)."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from common.telemetry.trace_context import incoming_traceparent, new_traceparent

_traceparent: ContextVar[str | None] = ContextVar("page_traceparent", default=None)


def begin_page_trace(scope: Any) -> str:
    """For the rest of this request: the trace of the browser or proxy if it names one, else a new one."""
    traceparent = new_traceparent(incoming_traceparent(scope["headers"]))
    _traceparent.set(traceparent)
    return traceparent


def trace_header() -> Mapping[str, str]:
    """For a call of a service; empty outside a request."""
    traceparent = _traceparent.get()
    return {} if traceparent is None else {"traceparent": traceparent}
