"""Logs as JSON lines (or for reading, on a terminal), W3C trace context, and what must never be logged."""

import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from functools import cache
from typing import Any, Literal

import msgspec
import prometheus_client
import structlog

from common.telemetry.rate_limited_log import LibraryLimit
from common.text.storable import storable, storable_json
from common.text.terminal import for_terminal, json_for_terminal

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # its author left it so

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")
_SECRET_NAME = re.compile(r"(api_?key|secret|password|token|authorization|dsn|database_url)$", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@<>\"',;:=(]+@[^\s@<>\"',;)]+\.[A-Za-z]{2,}")
_URL_PASSWORD = re.compile(r"(://[^\s:/@]+:)[^\s@/]+@")
# `client_0123456789ab.…` as they are made here, `ak_client_01234567.…` as the local stack makes them.
_API_KEY = re.compile(r"\b([a-z]+(?:_[a-z]+)?_[0-9a-f]{8,})\.[\w-]{16,}")
_OF_MANY_LINES = frozenset({"exception", "stack"})
_encoder = msgspec.json.Encoder(enc_hook=str)
# The same list for ever: a logger keeps the one that it found when it was first used.
_processors: list[Any] = []
_NOISY = ("aiokafka", "asyncio", "faststream", "httpx", "stripe", "uvicorn.error")


def new_traceparent(parent: str | None = None) -> str:
    """A new span in the trace of `parent`, or in a new trace when there is none or it is malformed (W3C, level 1)."""
    match = _TRACEPARENT.fullmatch(parent) if parent else None
    if match is None:
        return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    return f"00-{match[1]}-{os.urandom(8).hex()}-{match[2]}"


def incoming_traceparent(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What a request's header says, well-formed or not; None where it is given twice: nobody knows which trace is meant
    (W3C Trace Context, 3.2.1)."""
    found = [value.strip(b" \t") for name, value in headers if name == b"traceparent"]
    return found[0].decode("latin-1") if len(found) == 1 else None


def trace_headers(traceparent: str) -> list[tuple[bytes, bytes]]:
    """What every answer says of its trace."""
    return [(b"x-request-id", trace_id(traceparent).encode()), (b"traceparent", traceparent.encode())]


def trace_id(traceparent: str) -> str:
    return traceparent[3:35]


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: values of secret names, and e-mail addresses, keys and passwords inside texts, go."""
    for name, value in event.items():
        if _is_secret(name):
            event[name] = "[redacted]"
        elif type(value) is str:
            event[name] = without_secrets(value)
    return event


@cache  # the names are those in our code
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def without_secrets(text: str) -> str:
    if "@" in text:
        text = _EMAIL.sub("[address]", _URL_PASSWORD.sub(r"\1[redacted]@", text))
    return _API_KEY.sub(r"\1.[redacted]", text) if "." in text else text


def show_controls(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor for a terminal: what clients sent cannot steer it. Tracebacks keep their lines."""
    for name, value in event.items():
        if type(value) is str:
            event[name] = for_terminal(value, keep_lines=name in _OF_MANY_LINES)
    return event


class _Lines:
    """Where a structlog logger writes to, without the detour through the standard library: one write per line."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def _write(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = _write


class _StandardHandler(logging.Handler):
    """What the standard library's loggers write goes the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


def configure_logging(
    service: str, role: str, *, style: Literal["json", "pretty", "auto"] = "auto", level: str = "info"
) -> None:
    """Send everything that is logged, by structlog or by the standard library, to stderr as one kind of lines."""
    pretty = style == "pretty" or (style == "auto" and sys.stderr.isatty())

    def add_origin(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"], event["role"] = service, role
        return event

    describe: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_origin,
    ]
    # Tracebacks become text before anything is redacted; and never with local variables, which hold keys and names.
    clean: list[Any] = [structlog.processors.format_exc_info, redact, *([show_controls] if pretty else [])]
    render = structlog.dev.ConsoleRenderer() if pretty else _to_json
    _processors[:] = [*clean, *describe, render]
    structlog.configure(
        processors=_processors,
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
    handler = _StandardHandler()
    handler.addFilter(LibraryLimit())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=describe,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *clean, render],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _to_json(_logger: Any, _method: str, event: Mapping[str, Any]) -> str:
    """Never raises: whoever logs what went wrong must not fail over the text of it.

    JSON escapes the controls below U+0020; the rest is escaped here, as terminals obey some of it too.
    """
    try:
        line = _encoder.encode(event).decode()
    except Exception:  # half a surrogate pair, or an object whose `str()` raises
        line = _encoder.encode({storable(name): storable_json(_shown(value)) for name, value in event.items()}).decode()
    return line if line.isprintable() else json_for_terminal(line)


def _shown(value: object) -> object:
    try:
        _encoder.encode(value)
    except UnicodeEncodeError:
        return value
    except Exception as error:
        return f"(cannot be shown: {type(error).__name__})"
    return value


def get_logger(name: str) -> Any:
    """A structlog logger: `log.info("what happened", order=…)`."""
    return structlog.get_logger(name)
