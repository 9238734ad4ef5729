"""The dead letter of a poison record: a copy of it, as far as its size allows, on the service's dead-letter topic."""

from uuid import UUID

from common.database.statements import Connection
from common.messaging.dead_letters import append_dead_letter
from common.messaging.envelope import EventData, Record
from common.telemetry.trace_context import new_traceparent

DEAD_RECORD = "record.dead_lettered"
MAX_BYTES = 900_000
MAX_KEY_LENGTH = 255


class DeadRecord(EventData):
    """A record that could not be processed, or a batch of records that could not be decoded.

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


async def append_dead_record(
    connection: Connection, service: str, record: Record, letter: DeadRecord, digest: bytes
) -> None:
    """`digest` is that of the record's content: a letter is known by it and the record's place."""
    identity = f"{record.topic}-{record.partition}-{record.offset}-{digest.hex()[:16]}"
    data = letter.model_dump_json().encode()
    if len(data) > MAX_BYTES:
        emptied: dict[str, object] = {"key": None, "value": None, "headers": [], "content_omitted": True}
        data = letter.model_copy(update=emptied).model_dump_json().encode()
    await append_dead_letter(
        connection,
        service,
        data,
        event_type=DEAD_RECORD,
        subject=("record", identity),
        key=_text_key(record.key) or identity,
        traceparent=_traceparent(record),
    )


def _traceparent(record: Record) -> str:
    parent = next((value for name, value in record.headers if name == "traceparent" and value), b"")
    return new_traceparent(parent.decode(errors="replace"))


def _text_key(key: bytes | None) -> str | None:
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and len(text) <= MAX_KEY_LENGTH else None
