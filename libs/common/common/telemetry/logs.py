"""Configures structlog and the standard library's logging: JSON lines, or coloured lines on a terminal, on stderr.

Secrets and e-mail addresses are removed from the lines.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import msgspec
import structlog

from common.telemetry.log_fields import add_log_fields
from common.telemetry.rate_limited_log import LibraryLimit
from common.telemetry.redaction import is_secret, without_secrets
from common.text.storable import storable, storable_json
from common.text.visible import for_terminal, json_for_terminal

_MULTI_LINE_FIELDS = frozenset({"exception", "stack"})
# Changed in place: structlog's cached loggers keep the list object that was configured when they were first used.
_processors: list[Any] = []
_encoder = msgspec.json.Encoder(enc_hook=str)
_VERBOSE_LIBRARIES = ("aiokafka", "asyncio", "faststream", "httpx", "stripe", "urllib3", "uvicorn.error")


def configure_logging(
    service: str, role: str, *, style: Literal["json", "pretty", "auto"] = "auto", level: str = "info"
) -> None:
    """Send all log events, of structlog and of the standard library, to stderr in one format."""
    pretty = style == "pretty" or (style == "auto" and sys.stderr.isatty())

    def add_origin(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"], event["role"] = service, role
        return event

    describe: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_origin,
    ]
    # Tracebacks become text before the redaction, and never with local variables, which hold secrets and names.
    clean: list[Any] = [structlog.processors.format_exc_info, _redact, *([_show_controls] if pretty else [])]
    render = structlog.dev.ConsoleRenderer() if pretty else _render_json
    _processors[:] = [add_log_fields, *clean, *describe, render]
    structlog.configure(
        processors=_processors,
        logger_factory=_StderrLogger,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
    handler = _StderrHandler()
    handler.addFilter(LibraryLimit())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[add_log_fields, *describe],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *clean, render],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: removes the values of fields with a secret name, and secrets inside other texts."""
    for name, value in event.items():
        if is_secret(name):
            event[name] = "[redacted]"
        elif type(value) is str:
            event[name] = without_secrets(value)
    return event


def _show_controls(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor for a terminal: escapes control characters, as texts of clients could steer the terminal.
    Tracebacks keep their lines."""
    for name, value in event.items():
        if type(value) is str:
            event[name] = for_terminal(value, keep_lines=name in _MULTI_LINE_FIELDS)
    return event


def _render_json(_logger: object, _method: str, event: Mapping[str, Any]) -> str:
    """A structlog renderer that never raises: an error must not be lost because its text cannot be encoded.

    JSON escapes the control characters below U+0020. The others are escaped here, as terminals obey some of them.
    """
    try:
        line = _encoder.encode(event).decode()
    except Exception:  # half of a surrogate pair, or an object whose `str()` raises
        line = _encoder.encode(
            {storable(name): storable_json(_encodable(value)) for name, value in event.items()}
        ).decode()
    return line if line.isprintable() else json_for_terminal(line)


def _encodable(value: object) -> object:
    try:
        _encoder.encode(value)
    except UnicodeEncodeError:
        return value  # made encodable by `storable_json`
    except Exception as error:
        return f"(cannot be shown: {type(error).__name__})"
    return value


class _StderrLogger:
    """The logger that structlog wraps: one write per line, without the standard library's logging between."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def _write(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = _write


class _StderrHandler(logging.Handler):
    """Writes to whatever `sys.stderr` is at the time of the write, as `_StderrLogger` does."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")
