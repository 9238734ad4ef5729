"""Fields of every log line of one unit of work: its trace, and the ids of its request, event or job."""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any

# One variable for all fields: structlog's own way has one for each, and reads the whole context for every line.
_fields: ContextVar[Mapping[str, object]] = ContextVar("log_fields", default=MappingProxyType({}))


def push_log_fields(fields: Mapping[str, object]) -> Token[Mapping[str, object]]:
    """Add fields to the lines of this task, until `pop_log_fields`."""
    return _fields.set({**_fields.get(), **fields})


def pop_log_fields(token: Token[Mapping[str, object]]) -> None:
    _fields.reset(token)


@contextmanager
def log_fields(**fields: object) -> Iterator[None]:
    token = push_log_fields(fields)
    try:
        yield
    finally:
        pop_log_fields(token)


def add_log_fields(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor. The line's own fields come first."""
    for name, value in _fields.get().items():
        event.setdefault(name, value)
    return event
