"""Processes a stored poison record again, after its cause was removed."""

from collections.abc import Sequence
from uuid import UUID

from common.database.statements import Connection
from common.errors import Code, Problem
from common.messaging.envelope import Record, UnreadableRecord
from common.messaging.incoming import poison
from common.messaging.incoming.batches import decode
from common.messaging.incoming.deduplication import process_new
from common.messaging.incoming.records import Handlers, read


async def replay(connection: Connection, consumer: str, handlers: Handlers, poison_id: UUID) -> None:
    """Process the record, or all records of the batch, in this transaction.

    Raises `Problem` NOT_FOUND, CONFLICT when it was replayed before or is still unreadable, and what the handler
    raises when it still fails.
    """
    stored = await poison.find(connection, poison_id)
    if stored is None:
        raise Problem.not_found("poison", poison_id)
    if stored.state != "kept":
        raise Problem(Code.CONFLICT, "The record was replayed before.", {"state": stored.state})
    try:
        events = [(record, read(record, handlers)) for record in _records(stored)]
    except UnreadableRecord as error:
        raise Problem(Code.CONFLICT, "The record is still unreadable.", {"error": str(error)}) from error
    wanted = [(record, incoming) for record, incoming in events if incoming is not None]
    await process_new(connection, consumer, handlers, wanted)
    await poison.set_replayed(connection, poison_id)


def _records(stored: poison.PoisonRecord) -> Sequence[Record]:
    return decode(stored.value or b"", stored.topic, stored.partition) if stored.kind == "batch" else [stored]
