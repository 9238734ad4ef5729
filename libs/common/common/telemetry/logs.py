"""Configures structlog and the standard library's logging: JSON lines, or coloured lines on a terminal, on stderr."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

from common.telemetry.json_lines import render_json
from common.telemetry.rate_limited_log import LibraryLimit
from common.telemetry.redaction import redact
from common.text.terminal import for_terminal

_MULTI_LINE_FIELDS = frozenset({"exception", "stack"})
# Changed in place: structlog's cached loggers keep the list object that was configured when they were first used.
_processors: list[Any] = []
_VERBOSE_LIBRARIES = ("aiokafka", "asyncio", "faststream", "httpx", "stripe", "uvicorn.error")


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
    clean: list[Any] = [structlog.processors.format_exc_info, redact, *([show_controls] if pretty else [])]
    render = structlog.dev.ConsoleRenderer() if pretty else render_json
    _processors[:] = [*clean, *describe, render]
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
            foreign_pre_chain=describe,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *clean, render],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def show_controls(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor for a terminal: escapes control characters, as texts of clients could steer the terminal.
    Tracebacks keep their lines."""
    for name, value in event.items():
        if type(value) is str:
            event[name] = for_terminal(value, keep_lines=name in _MULTI_LINE_FIELDS)
    return event


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
