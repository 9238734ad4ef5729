"""Records that cannot be taken in: kept byte for byte, copied to the dead-letter topic, and stepped over."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import Uuid, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from common.database.statements import Connection, prepare
from common.database.tables import poison
from common.messaging import outbox
from common.messaging.envelope import EventData, Record
from common.messaging.outbox import NewEvent
from common.messaging.topics import dead_letters
from common.telemetry import new_traceparent

DEAD_RECORD = "record.dead_lettered"
MOST_BYTES_SENT = 900_000
LONGEST_ERROR = 2_000
LONGEST_KEY = 255

_COLUMNS = ("id", "topic", "partition", "offset", "key", "value", "headers", "record_time", "error")
_KEEP = prepare(
    insert(poison)
    .values({name: bindparam(name) for name in _COLUMNS})
    .on_conflict_do_nothing(index_elements=[poison.c.topic, poison.c.partition, poison.c.offset])
)
_of_id = poison.c.id == bindparam("id", type_=Uuid)
_LOCK = prepare(select(poison).where(_of_id).with_for_update())
_REPLAYED = prepare(update(poison).where(_of_id).values(state="replayed", replayed_at=func.now()))


class DeadRecord(EventData):
    """A record that could not be taken in. `record_time` is Kafka's, in milliseconds; key, value and the headers'
    values are in base64, and left out (`content_omitted`) where the whole is too large to be sent."""

    topic: str
    partition: int
    offset: int
    record_time: int
    key: str | None
    value: str | None
    headers: list[tuple[str, str | None]]
    content_omitted: bool
    error: str


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record as it once came from Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int
    state: str


async def keep(connection: Connection, service: str, record: Record, error: str) -> None:
    """Keep a record and send a copy of it, once however often it is redelivered."""
    error = _storable(error)[:LONGEST_ERROR]
    headers = [(_escaped(name), _base64(value)) for name, value in record.headers]
    position = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    kept = await _KEEP.execute(
        connection,
        **position,
        id=uuid4(),
        key=record.key,
        value=record.value,
        headers=headers,
        record_time=record.timestamp,
        error=error,
    )
    if kept:
        letter = DeadRecord(
            **position,
            record_time=record.timestamp,
            key=_base64(record.key),
            value=_base64(record.value),
            headers=headers,
            content_omitted=False,
            error=error,
        )
        await _send_copy(connection, service, record, letter)


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
    )


async def set_replayed(connection: Connection, poison_id: UUID) -> None:
    await _REPLAYED.execute(connection, id=poison_id)


async def _send_copy(connection: Connection, service: str, record: Record, letter: DeadRecord) -> None:
    topic, identity = dead_letters(service), f"{record.topic}-{record.partition}-{record.offset}"
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


def _storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor half a surrogate pair."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _escaped(name: str) -> str:
    """A header's name as PostgreSQL can hold it in JSON; an ordinary one stays as it is."""
    return name.encode("unicode_escape").decode()


def _unescaped(name: str) -> str:
    return name.encode().decode("unicode_escape")
