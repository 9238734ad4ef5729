"""Spans as tests see them, wherever they were received, and the tree of a trace."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

AttributeValue = str | int | float | bool


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str | None
    started_ns: int
    ended_ns: int
    attributes: Mapping[str, AttributeValue]
    error: str | None = None
    links: Sequence[str] = field(default=())

    @property
    def title(self) -> str:
        return f"{self.service}: {self.name}"


def without_parent(spans: Sequence[Span]) -> list[Span]:
    """Those whose parent is named, but is none of the spans."""
    ids = {span.span_id for span in spans}
    return [span for span in spans if span.parent_id is not None and span.parent_id not in ids]


def path_to(spans: Sequence[Span], title: str) -> list[str]:
    """The titles from the first span of the trace to the first one of this title."""
    by_id = {span.span_id: span for span in spans}
    each: Span | None = next(span for span in spans if span.title == title)
    path: list[str] = []
    while each is not None:
        path.insert(0, each.title)
        each = by_id.get(each.parent_id or "")
    return path


def printed(spans: Sequence[Span]) -> str:
    """The tree with kinds and durations in milliseconds, in the order of the beginnings."""
    start = min(span.started_ns for span in spans)
    return "\n".join(_lines(spans, None, 0, start))


def _lines(spans: Sequence[Span], parent_id: str | None, depth: int, start: int) -> Iterator[str]:
    children = sorted((span for span in spans if span.parent_id == parent_id), key=lambda span: span.started_ns)
    for span in children:
        begin, duration = (span.started_ns - start) / 1e6, (span.ended_ns - span.started_ns) / 1e6
        failed = "" if span.error is None else f"  ERROR {span.error}"
        yield f"{'  ' * depth}{span.title} [{span.kind}] at {begin:.1f} ms, {duration:.1f} ms{failed}"
        yield from _lines(spans, span.span_id, depth + 1, start)
