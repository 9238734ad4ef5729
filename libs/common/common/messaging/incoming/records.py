"""Reads Kafka records as events for a consumer's handlers; any bytes at all are survived."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from common.database.statements import Connection
from common.messaging.envelope import PREFIX, EventView, ReceivedEvent, Record, UnreadableRecord, parse
from common.messaging.incoming.batches import UndecodableBatch
from common.telemetry.trace_context import parts_of

LATE_SECONDS = 5.0

View = TypeVar("View", bound=EventView)


@dataclass(frozen=True, slots=True)
class Incoming(Generic[View]):
    """An event that was not processed before: its envelope, and what the consumer reads of its data."""

    event: ReceivedEvent
    data: View


@dataclass(frozen=True, slots=True)
class EventHandler(Generic[View]):
    """What a consumer does with the events of a type.

    `process` is called once a batch with the new events, in log order per key, inside the transaction that also writes
    the inbox; it only writes to the database. When it raises, its transaction is rolled back and each event is tried
    alone. Types with equal handlers are handed over together.
    """

    view: type[View]
    process: Callable[[Connection, Sequence[Incoming[View]]], Awaitable[None]]


Handlers = Mapping[str, EventHandler[Any]]


def read(record: Record, handlers: Handlers) -> Incoming[Any] | None:
    """The event in the record; None when its type has no handler. Raises `UnreadableRecord`."""
    if isinstance(record, UndecodableBatch):
        raise UnreadableRecord(record.error)
    if _has_no_handler(record, handlers):
        return None
    try:
        event = parse(record)
        return Incoming(event, handlers[event.type].view.model_validate_json(event.data))
    except UnreadableRecord:
        raise
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))
        raise UnreadableRecord("; ".join(problems)) from None
    except Exception as error:  # any error of the parser means that the record is unreadable
        raise UnreadableRecord(repr(error)) from error


def came_late(record: Record) -> bool:
    """Whether it was sent long after it was written: its producer's outbox has a backlog, or had one."""
    try:
        written_at = datetime.fromisoformat(_last_header(record, "ce_time") or "").timestamp()
    except (ValueError, OverflowError):
        return False
    return record.timestamp / 1000 - written_at > LATE_SECONDS


def log_fields_of(record: Record) -> Mapping[str, object]:
    """The ids of the event in the record, as far as they can be read."""
    traceparent = parts_of(_last_header(record, "traceparent"))
    ids = {"event_id": _last_header(record, "ce_id"), "trace_id": traceparent and traceparent[0]}
    return {name: value for name, value in ids.items() if value}


def _has_no_handler(record: Record, handlers: Handlers) -> bool:
    """Whether the record names a type, in any version, that no handler is for."""
    name = _last_header(record, "ce_type")
    return name is not None and name.removeprefix(PREFIX).rpartition(".v")[0] not in handlers


def _last_header(record: Record, name: str) -> str | None:
    values = [value for each, value in record.headers if each == name and value]
    try:
        return values[-1].decode() if values else None
    except UnicodeDecodeError:
        return None
