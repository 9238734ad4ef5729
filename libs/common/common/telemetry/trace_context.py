"""W3C Trace Context, level 1: the `traceparent` of requests, events and jobs (https://www.w3.org/TR/trace-context-1)."""

import os
import re
from collections.abc import Iterable

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


def new_traceparent(parent: str | None = None) -> str:
    """A new span in the trace of `parent`, or in a new trace when `parent` is None or malformed."""
    match = _TRACEPARENT.fullmatch(parent) if parent else None
    if match is None:
        return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    return f"00-{match[1]}-{os.urandom(8).hex()}-{match[3]}"


def parts_of(traceparent: str | None) -> tuple[str, str, str] | None:
    """The trace id, span id and flags, in hexadecimal digits; None for a malformed value."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return None if match is None else (match[1], match[2], match[3])


def incoming_traceparent(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The header's value, which may be malformed; None when the header is absent or repeated: it is then unknown which
    trace is meant (section 3.2.1)."""
    values = [value.strip(b" \t") for name, value in headers if name == b"traceparent"]
    return values[0].decode("latin-1") if len(values) == 1 else None


def trace_headers(traceparent: str) -> list[tuple[bytes, bytes]]:
    """The headers of every HTTP response that identify its trace."""
    return [(b"x-request-id", trace_id(traceparent).encode()), (b"traceparent", traceparent.encode())]


def trace_id(traceparent: str) -> str:
    return traceparent[3:35]
