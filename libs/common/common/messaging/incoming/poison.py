"""Poison records: stored byte for byte in the table `poison`, and processed again by `replay` (ADR 19)."""

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
from common.errors import Code, Problem
from common.messaging.dead_letters import DeadRecord, append_dead_record
from common.messaging.envelope import Record, UnreadableRecord
from common.messaging.incoming.batches import UndecodableBatch, decode
from common.messaging.incoming.consumer_spans import ConsumerSpans
from common.messaging.incoming.deduplication import process_new
from common.messaging.incoming.records import Handlers, read
from common.text.causes import cause_of
from common.text.storable import LONGEST_ERROR, storable

_COLUMNS = (
    *("id", "kind", "topic", "partition", "offset", "last_offset", "digest"),
    *("key", "value", "headers", "record_time", "error", "cause"),
)
_IDENTITY = (poison.c.topic, poison.c.partition, poison.c.offset, poison.c.digest)
_STORE = prepare(
    insert(poison)
    .values({name: bindparam(name) for name in _COLUMNS})
    .on_conflict_do_nothing(index_elements=list(_IDENTITY))
)
_IS_STORED = prepare(
    select(exists().where(*(column == bindparam(column.name, type_=column.type) for column in _IDENTITY)))
)
_of_id = poison.c.id == bindparam("id", type_=Uuid)
_LOCK = prepare(select(poison).where(_of_id).with_for_update())
_DISCARD = prepare(
    update(poison)
    .where(_of_id, poison.c.state == "kept")
    .values(
        state="discarded",
        discarded_at=func.now(),
        discarded_reason=bindparam("reason"),
        discarded_by=bindparam("by", type_=poison.c.discarded_by.type),
    )
)
_REPLAYED = prepare(update(poison).where(_of_id).values(state="replayed", replayed_at=func.now()))


class NotStored(Exception):
    """The record is not in the table, and nothing equal to it is: its offset must not be committed."""


@dataclass(frozen=True, slots=True)
class PoisonRecord:
    """A stored record as it came from Kafka; of the kind `batch`, a whole batch that could not be decoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int
    state: str
    kind: Literal["record", "batch"] = "record"


async def store(connection: Connection, service: str, record: Record, error: str) -> None:
    """Store a record and send its dead letter, once however often it is redelivered.

    A record is known by its place and its content: after Kafka was filled again, or the topic created again, another
    record is at an old place. Raises `NotStored`.
    """
    last_offset = record.last_offset if isinstance(record, UndecodableBatch) else None
    error = storable(error, LONGEST_ERROR)
    headers = [(_escaped(name), _base64(value)) for name, value in record.headers]
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    content_digest = digest(record.key, record.value, record.headers)
    poison_id = uuid4()
    is_new = await _STORE.execute(
        connection,
        **place,
        id=poison_id,
        kind="record" if last_offset is None else "batch",
        last_offset=last_offset,
        digest=content_digest,
        key=record.key,
        value=record.value,
        headers=headers,
        record_time=record.timestamp,
        error=error,
        cause=cause_of(error),
    )
    if is_new:
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
        await append_dead_record(connection, service, record, letter, content_digest)
    elif not await _IS_STORED.fetch_value(connection, **place, digest=content_digest):
        raise NotStored(f"{record.topic}-{record.partition} at {record.offset}: neither stored now nor before")


def digest(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> bytes:
    """SHA-256 over key, value and headers, each part with its length (-1: null) before it. Migration
    0004_poison_identity computes the same in SQL."""
    parts = [key, value]
    for name, content in headers:
        parts += [_escaped(name).encode(), content]
    sha256 = hashlib.sha256()
    for part in parts:
        sha256.update((-1 if part is None else len(part)).to_bytes(4, signed=True) + (part or b""))
    return sha256.digest()


async def replay(connection: Connection, consumer: str, handlers: Handlers, poison_id: UUID) -> None:
    """Process the record, or all records of the batch, in this transaction.

    Raises `Problem` NOT_FOUND, CONFLICT when it is not kept or is still unreadable, and what the handler
    raises when it still fails.
    """
    stored_record = await find(connection, poison_id)
    if stored_record is None:
        raise Problem.not_found("poison", poison_id)
    if stored_record.state != "kept":
        message = f"Only a record that is kept is replayed; this one was {stored_record.state} before."
        raise Problem(Code.CONFLICT, message, {"state": stored_record.state})
    try:
        records = (
            decode(stored_record.value or b"", stored_record.topic, stored_record.partition)
            if stored_record.kind == "batch"
            else [stored_record]
        )
        events = [(record, read(record, handlers)) for record in records]
    except UnreadableRecord as error:
        raise Problem(Code.CONFLICT, "The record is still unreadable.", {"error": str(error)}) from error
    incoming_records = [(record, incoming) for record, incoming in events if incoming is not None]
    with ConsumerSpans(consumer, len(records)) as spans:
        await process_new(connection, consumer, handlers, incoming_records, spans)
    await _REPLAYED.execute(connection, id=poison_id)


async def discard(connection: Connection, poison_id: UUID, reason: str, by: str) -> bool:
    """Decide that the record is never to be processed; False when it is not kept."""
    return await _DISCARD.execute(connection, id=poison_id, reason=reason, by=by) == 1


async def find(connection: Connection, poison_id: UUID) -> PoisonRecord | None:
    """The record, its row locked until the transaction ends."""
    row = await _LOCK.fetch_one(connection, id=poison_id)
    if row is None:
        return None
    return PoisonRecord(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        key=row["key"],
        value=row["value"],
        headers=[(_unescaped(name), None if value is None else b64decode(value)) for name, value in row["headers"]],
        timestamp=row["record_time"],
        state=row["state"],
        kind=row["kind"],
    )


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _escaped(name: str) -> str:
    """A header's name as PostgreSQL can hold it in JSON; an ordinary one stays as it is."""
    return name.encode("unicode_escape").decode()


def _unescaped(name: str) -> str:
    return name.encode().decode("unicode_escape")
