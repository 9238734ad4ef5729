"""Dead letters: copies of what a service failed to process, on its dead-letter topic. Its tables have the originals."""

from uuid import UUID

from common.database.statements import Connection
from common.messaging.envelope import EventData
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent


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
