"""Traces: spans of units of work and of calls to other systems, if there is a collector (ADR 45).

Without one, OpenTelemetry's SDK is not imported, and a unit of work has only its `traceparent` and its log fields.
"""

from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from common.telemetry.log_fields import pop_log_fields, push_log_fields
from common.telemetry.trace_context import new_traceparent, parts_of, trace_id

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from common.telemetry.spans import Attributes, Kind, Spans

_active: "Spans | None" = None


def use_spans(new_spans: "Spans | None") -> None:
    """Make spans with it from now on; with None, make none."""
    global _active
    _active = new_spans


def active_spans() -> "Spans | None":
    """What makes spans; None where no collector is configured."""
    return _active


class Work:
    """One unit of work: a request, a job attempt, a round of checks.

    Used as a context manager: its span is then the current one, and each log line has its trace id and `log_fields`.
    `traceparent` is what its changes carry. `span` is None without a collector.
    """

    __slots__ = ("_log_fields", "_log_token", "_span_token", "_spans", "span", "traceparent")

    def __init__(
        self,
        name: str,
        kind: "Kind",
        parent: str | None = None,
        *,
        attributes: "Attributes | None" = None,
        log_fields: Mapping[str, object] | None = None,
        has_span: bool = True,
    ) -> None:
        self._log_fields = log_fields
        self._spans = _active if has_span else None
        self._span_token: Token[Any] | None = None
        self.span: Span | None = None
        if self._spans is None:
            self.traceparent = new_traceparent(parent)
        else:
            self.span = self._spans.start(name, kind, parent, attributes)
            self.traceparent = self._spans.traceparent_of(self.span)

    def __enter__(self) -> Self:
        fields: dict[str, object] = {"trace_id": trace_id(self.traceparent)}
        if self._spans is not None and self.span is not None:
            fields["span_id"] = self.traceparent[36:52]
            self._span_token = self._spans.enter(self.span)
        if self._log_fields is not None:
            fields.update(self._log_fields)
        self._log_token = push_log_fields(fields)
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: TracebackType | None) -> None:
        pop_log_fields(self._log_token)
        if self._spans is not None and self.span is not None and self._span_token is not None:
            self._spans.leave(self._span_token)
            self._spans.end(self.span, error)


class OutsideCall:
    """A call to another system, from its creation to `end`, or to the end of the block that it is used for. An
    exception in the block marks it as failed."""

    __slots__ = ("_span",)

    def __init__(self, span: "Span | None") -> None:
        self._span = span

    def end(self, attributes: "Attributes | None" = None, error: BaseException | str | None = None) -> None:
        if _active is not None and self._span is not None:
            self._span.set_attributes(attributes or {})
            _active.end(self._span, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: TracebackType | None) -> None:
        self.end(error=error)


_NO_CALL = OutsideCall(None)


def outside_call(name: str, attributes: "Attributes") -> OutsideCall:
    """Begin a call to another system, below the current span."""
    return _NO_CALL if _active is None else OutsideCall(_active.start_call(name, attributes))


def traceparent_below(parent: str | None = None) -> str:
    """What a change carries that is made now: the current span, or else `parent` itself, so that what follows has a
    parent that exists. Without a collector it is a new place in the trace of `parent`."""
    if _active is None:
        return new_traceparent(parent)
    current = _active.traceparent_of(_active.current_span())
    if parts_of(current) is not None:
        return current
    return parent if parent is not None and parts_of(parent) is not None else new_traceparent()


def note(attributes: "Attributes", error: BaseException | str | None = None) -> None:
    """Add attributes to the current span, and an error that does not leave its block."""
    if _active is None:
        return
    span = _active.current_span()
    span.set_attributes(attributes)
    if error is not None:
        _active.mark_failed(span, error)
