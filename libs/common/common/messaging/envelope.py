"""The envelope of events: CloudEvents 1.0 in Kafka's binary mode, attributes in `ce_` headers, data as JSON (ADR 5)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from common.audit.actor import Actor
from common.telemetry.trace_context import new_traceparent

PREFIX = "com.articurated."
SUPPORTED_MAJOR = 1
_FULL_NAME = re.compile(r"com\.articurated\.(?P<type>[a-z_]+(?:\.[a-z_]+)+)\.v(?P<major>[1-9][0-9]{0,3})")


def full_name(event_type: str) -> str:
    """`task.closed` → `com.articurated.task.closed.v1`."""
    return f"{PREFIX}{event_type}.v{SUPPORTED_MAJOR}"


class EventData(BaseModel):
    """The data that a producer publishes: the aggregate's full state after the change; money as decimal strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class EventView(BaseModel):
    """The part of an event's data that one consumer needs; other fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Record(Protocol):
    """A Kafka record as aiokafka delivers it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class UnreadableRecord(Exception):
    """The record is not an event that this version can read; the message has the reason."""


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """One consumed event. `type` is the short name; `sequence` counts per topic and key within `epoch`."""

    id: str
    type: str
    source: str
    subject: str
    key: str
    sequence: int
    epoch: int
    time: datetime
    traceparent: str
    causation_id: str | None
    data: bytes
    # That of the consumer's own span, if there is a collector of traces.
    consumer_traceparent: str | None = None

    def new_actor(self) -> Actor:
        """The system, acting because it consumed this event, with a trace context of its own."""
        traceparent = self.consumer_traceparent or new_traceparent(self.traceparent)
        return Actor(None, self.type, "SYSTEM", "EVENT", traceparent, causation_id=self.id)


def parse(record: Record) -> ReceivedEvent:
    """Read the envelope; the data stays bytes, for the consumer's view. Raises `UnreadableRecord`."""
    headers = _texts(record.headers)
    if headers.get("ce_specversion") != "1.0":
        raise UnreadableRecord("header ce_specversion is not 1.0")
    name = _FULL_NAME.fullmatch(_required(headers, "ce_type"))
    if name is None:
        raise UnreadableRecord(f"unknown event name {headers['ce_type']!r}")
    if int(name["major"]) != SUPPORTED_MAJOR:
        raise UnreadableRecord(f"unknown major version in {headers['ce_type']!r}")
    if record.value is None or record.key is None:
        raise UnreadableRecord("a record without a " + ("value" if record.value is None else "key"))
    try:
        return ReceivedEvent(
            id=_required(headers, "ce_id"),
            type=name["type"],
            source=_required(headers, "ce_source"),
            subject=_required(headers, "ce_subject"),
            key=record.key.decode(),
            sequence=int(_required(headers, "ce_sequence")),
            epoch=int(_required(headers, "ce_epoch")),
            time=datetime.fromisoformat(_required(headers, "ce_time")).astimezone(UTC),
            traceparent=headers.get("traceparent", ""),
            causation_id=headers.get("ce_causationid"),
            data=record.value,
        )
    except ValueError as error:
        raise UnreadableRecord(str(error)) from error


def event_headers(source: str, row: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """The headers of the record for an outbox row; the same row always gives the same headers."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(row["id"]).encode()),
        ("ce_source", f"/articurated/{source}".encode()),
        ("ce_type", full_name(row["type"]).encode()),
        ("ce_subject", row["aggregateid"].encode()),
        ("ce_time", row["created_at"].astimezone(UTC).isoformat().replace("+00:00", "Z").encode()),
        ("ce_sequence", b"%d" % row["sequence"]),
        ("ce_epoch", b"%d" % row["epoch"]),
        ("ce_partitionkey", row["key"].encode()),
        ("traceparent", row["traceparent"].encode()),
        ("content-type", b"application/json"),
    ]
    if row["causation_id"] is not None:
        headers.append(("ce_causationid", row["causation_id"].encode()))
    if row["headers"]:
        headers += [(name, value.encode()) for name, value in row["headers"].items()]
    return headers


def _texts(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """The headers that are UTF-8 text; others are ignored, so that a required one is then missing."""
    texts = {}
    for name, value in headers:
        if value is not None:
            try:
                texts[name] = value.decode()
            except UnicodeDecodeError:
                continue
    return texts


def _required(headers: Mapping[str, str], name: str) -> str:
    if not headers.get(name):
        raise UnreadableRecord(f"header {name} is missing")
    return headers[name]
