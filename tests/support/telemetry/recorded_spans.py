"""The spans of this process, kept in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.telemetry.span_export import exporting
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.telemetry.span_tree import Span


class RecordedSpans:
    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def ended(self) -> list[Span]:
        """In the order of their ends."""
        return [_span(each) for each in self._exporter.get_finished_spans()]


@contextmanager
def recorded_spans() -> Iterator[RecordedSpans]:
    """Make spans during the block."""
    exporter = InMemorySpanExporter()
    with exporting("example", "api", SimpleSpanProcessor(exporter)):
        yield RecordedSpans(exporter)


def _span(span: ReadableSpan) -> Span:
    assert span.context is not None
    assert span.start_time is not None
    assert span.end_time is not None
    return Span(
        service=str(span.resource.attributes["service.name"]),
        name=span.name,
        kind=span.kind.name.lower(),
        trace_id=f"{span.context.trace_id:032x}",
        span_id=f"{span.context.span_id:016x}",
        parent_id=None if span.parent is None else f"{span.parent.span_id:016x}",
        started_ns=span.start_time,
        ended_ns=span.end_time,
        attributes=dict(span.attributes or {}),  # type: ignore[arg-type]  # no attribute of ours is a list
        error=None if span.status.is_ok else span.status.description,
        links=[f"{link.context.span_id:016x}" for link in span.links],
    )
