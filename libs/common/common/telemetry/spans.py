"""Spans by the API of OpenTelemetry, from and to `traceparent`: what the rest of the code knows of a trace."""

from collections.abc import Mapping
from contextvars import Token
from typing import Literal, TypeAlias

from opentelemetry import context as current
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from common.telemetry.redaction import without_secrets
from common.telemetry.trace_context import parts_of

Attributes: TypeAlias = Mapping[str, str | int | float | bool]
Kind: TypeAlias = Literal["server", "producer", "consumer", "internal"]

LONGEST_ERROR_TEXT = 200
_KINDS = {kind.name.lower(): kind for kind in SpanKind}


class Spans:
    """The spans of this process."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start(
        self,
        name: str,
        kind: Kind,
        parent: str | None,
        attributes: Attributes | None = None,
        *,
        started_ns: int | None = None,
        link: str | None = None,
    ) -> Span:
        """A span below `parent`, which may be of another process; the first one of a trace where that is None or
        malformed. It is not the current one before `enter`."""
        linked = _span_context(link)
        return self._tracer.start_span(
            name,
            _below(parent),
            _KINDS[kind],
            attributes,
            () if linked is None else (Link(linked),),
            start_time=started_ns,
        )

    def start_call(self, name: str, attributes: Attributes) -> Span:
        """A call to another system, below the current span. Outside a unit of work, such as the regular look-ups of the
        reconciler, it has no span: each would be a trace of its own."""
        if not get_current_span().get_span_context().is_valid:
            return INVALID_SPAN
        return self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)

    @staticmethod
    def enter(span: Span) -> Token[Context]:
        """Make it the current span of this task, for those below it."""
        return current.attach(set_span_in_context(span))

    @staticmethod
    def leave(token: Token[Context]) -> None:
        current.detach(token)

    @staticmethod
    def end(span: Span, error: BaseException | str | None = None) -> None:
        if error is not None:
            Spans.mark_failed(span, error)
        span.end()

    @staticmethod
    def mark_failed(span: Span, error: BaseException | str) -> None:
        """`error` is an exception, an HTTP status or a text. Without the traceback: it may have personal data, and the
        log has it."""
        text = str(error)
        if isinstance(error, BaseException):
            span.set_attribute("error.type", type(error).__qualname__)
        elif text.isdecimal():
            span.set_attribute("error.type", text)
        span.set_status(StatusCode.ERROR, without_secrets(text[:LONGEST_ERROR_TEXT]))

    @staticmethod
    def current_span() -> Span:
        return get_current_span()

    @staticmethod
    def traceparent_of(span: Span) -> str:
        """Of the flags of Trace Context, level 1 has only the sampling decision."""
        context = span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & TraceFlags.SAMPLED:02x}"


def _below(parent: str | None) -> Context:
    """Never below the current span: the parent is named, or there is none."""
    context = _span_context(parent)
    return Context() if context is None else set_span_in_context(NonRecordingSpan(context), Context())


def _span_context(traceparent: str | None) -> SpanContext | None:
    parts = parts_of(traceparent)
    if parts is None:
        return None
    trace_id, span_id, flags = (int(each, 16) for each in parts)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
