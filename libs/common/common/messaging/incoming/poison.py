"""Records that cannot be taken in: kept byte for byte, copied to the dead-letter topic, and stepped over (ADR 0019)."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import Uuid, bindparam, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from common.database.statements import Connection, prepare
from common.database.tables import poison
from common.messaging.envelope import EventData, Record
from common.messaging.incoming.batches import UndecodableBatch
from common.messaging.kafka.topics import dead_letter_topic
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from common.telemetry.trace_context import new_traceparent
from common.text.storable import LONGEST_ERROR, storable

DEAD_RECORD = "record.dead_lettered"
MOST_BYTES_SENT = 900_000
LONGEST_KEY = 255

_COLUMNS = (
    *("id", "kind", "topic", "partition", "offset", "last_offset", "digest"),
    *("key", "value", "headers", "record_time", "error"),
)
_IDENTITY = (poison.c.topic, poison.c.partition, poison.c.offset, poison.c.digest)
_KEEP = prepare(
    insert(poison)
    .values({name: bindparam(name) for name in _COLUMNS})
    .on_conflict_do_nothing(index_elements=list(_IDENTITY))
)
_IS_KEPT = prepare(
    select(exists().where(*(column == bindparam(column.name, type_=column.type) for column in _IDENTITY)))
)
_of_id = poison.c.id == bindparam("id", type_=Uuid)
_LOCK = prepare(select(poison).where(_of_id).with_for_update())
_REPLAYED = prepare(update(poison).where(_of_id).values(state="replayed", replayed_at=func.now()))


Kind = Literal["record", "batch"]


class NotKept(Exception):
    """The record is not in the table, and nothing equal to it is: its offset must not be committed."""


class DeadRecord(EventData):
    """A record that could not be taken in, or a batch of records that could not be decoded.

    `record_time` is Kafka's, in milliseconds. `last_offset` is given for a batch: it ends there. Key, value and the
    headers' values are in base64, and left out (`content_omitted`) where the whole is too large to be sent.
    `poison_id` names the row in the table `poison` of the service.
    """

    topic: str
    partition: int
    offset: int
    record_time: int
    key: str | None
    value: str | None
    headers: list[tuple[str, str | None]]
    content_omitted: bool
    error: str
    poison_id: UUID | None = None
    last_offset: int | None = None


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record as it once came from Kafka; of the kind `batch`, a whole batch that could not be decoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int
    state: str
    kind: Kind = "record"


async def keep(connection: Connection, service: str, record: Record, error: str) -> None:
    """Keep a record and send a copy of it, once however often it is redelivered.

    A record is known by its place and its content: after Kafka was filled again, or the topic made anew, another record
    is at an old place. Raises `NotKept`.
    """
    last_offset = record.last_offset if isinstance(record, UndecodableBatch) else None
    error = storable(error, LONGEST_ERROR)
    headers = [(_escaped(name), _base64(value)) for name, value in record.headers]
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    content_digest = digest(record.key, record.value, record.headers)
    identity = {**place, "digest": content_digest}
    poison_id = uuid4()
    kept = await _KEEP.execute(
        connection,
        **identity,
        id=poison_id,
        kind="record" if last_offset is None else "batch",
        last_offset=last_offset,
        key=record.key,
        value=record.value,
        headers=headers,
        record_time=record.timestamp,
        error=error,
    )
    if kept:
        letter = DeadRecord(
            **place,
            record_time=record.timestamp,
            key=_base64(record.key),
            value=_base64(record.value),
            headers=headers,
            content_omitted=False,
            error=error,
            poison_id=poison_id,
            last_offset=last_offset,
        )
        await _send_copy(connection, service, record, letter, content_digest)
    elif not await _IS_KEPT.fetch_value(connection, **identity):
        raise NotKept(f"{record.topic}-{record.partition} at {record.offset}: neither written nor there")


def digest(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> bytes:
    """SHA-256 over key, value and headers, each part with its length (-1: null) before it. Migration
    0004_poison_identity computes the same in SQL."""
    parts = [key, value]
    for name, content in headers:
        parts += [_escaped(name).encode(), content]
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update((-1 if part is None else len(part)).to_bytes(4, signed=True) + (part or b""))
    return hashed.digest()


async def find(connection: Connection, poison_id: UUID) -> KeptRecord | None:
    """The record, its row locked until the transaction ends."""
    row = await _LOCK.fetch_one(connection, id=poison_id)
    if row is None:
        return None
    headers = [(_unescaped(name), None if value is None else b64decode(value)) for name, value in row["headers"]]
    return KeptRecord(
        row["topic"],
        row["partition"],
        row["offset"],
        row["key"],
        row["value"],
        headers,
        row["record_time"],
        row["state"],
        row["kind"],
    )


async def set_replayed(connection: Connection, poison_id: UUID) -> None:
    await _REPLAYED.execute(connection, id=poison_id)


async def _send_copy(
    connection: Connection, service: str, record: Record, letter: DeadRecord, content_digest: bytes
) -> None:
    topic = dead_letter_topic(service)
    identity = f"{record.topic}-{record.partition}-{record.offset}-{content_digest.hex()[:16]}"
    data = letter.model_dump_json().encode()
    if len(data) > MOST_BYTES_SENT:
        emptied: dict[str, object] = {"key": None, "value": None, "headers": [], "content_omitted": True}
        data = letter.model_copy(update=emptied).model_dump_json().encode()
    key = _text_key(record.key) or identity
    traceparent = _traceparent(record)
    await outbox.append(connection, NewEvent(DEAD_RECORD, topic, "record", identity, key, None, data, traceparent))


def _traceparent(record: Record) -> str:
    found = next((value for name, value in record.headers if name == "traceparent" and value), b"")
    return new_traceparent(found.decode(errors="replace"))


def _text_key(key: bytes | None) -> str | None:
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and len(text) <= LONGEST_KEY else None


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _escaped(name: str) -> str:
    """A header's name as PostgreSQL can hold it in JSON; an ordinary one stays as it is."""
    return name.encode("unicode_escape").decode()


def _unescaped(name: str) -> str:
    return name.encode().decode("unicode_escape")
