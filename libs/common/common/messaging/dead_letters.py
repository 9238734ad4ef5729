"""Dead letters: copies of what a service failed to process, on its dead-letter topic. Its tables have the originals."""

from uuid import UUID

from common.database.statements import Connection
from common.messaging.envelope import EventData, Record
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from common.telemetry.tracing import traceparent_below

DEAD_RECORD = "record.dead_lettered"
MAX_BYTES = 900_000
MAX_KEY_LENGTH = 255


def dead_letter_topic(service: str) -> str:
    return f"articurated.{service}.dead-letters"


async def append_dead_letter(
    connection: Connection,
    service: str,
    letter: EventData | bytes,
    *,
    event_type: str,
    subject: tuple[str, UUID | str],
    key: str,
    traceparent: str,
    causation_id: str | None = None,
) -> None:
    """Add a dead letter to the outbox, in the transaction that stores the original. `subject` is its kind and id."""
    data = letter if isinstance(letter, bytes) else letter.model_dump_json().encode()
    kind, its_id = subject
    event = NewEvent(event_type, dead_letter_topic(service), kind, its_id, key, None, data, traceparent, causation_id)
    await outbox.append(connection, event)


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
        without_content: dict[str, object] = {"key": None, "value": None, "headers": [], "content_omitted": True}
        data = letter.model_copy(update=without_content).model_dump_json().encode()
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
    return traceparent_below(parent.decode(errors="replace"))


def _text_key(key: bytes | None) -> str | None:
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and len(text) <= MAX_KEY_LENGTH else None
