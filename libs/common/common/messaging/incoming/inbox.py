"""Takes in batches of records: each event once, in one transaction with its effect (ADR 0014)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import BigInteger, Integer, Text, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from common import failpoints
from common.database.statements import Connection, prepare
from common.database.tables import inbox
from common.database.transactions import Pool, is_connection_failure, is_contention, transaction
from common.errors import Code, Problem
from common.messaging.envelope import Record, UnreadableRecord
from common.messaging.incoming import poison
from common.messaging.incoming.batches import UndecodableBatch, decode
from common.messaging.incoming.records import EventHandler, Handlers, Incoming, read

# Beside the try together with the batch; a handler that lost a race against another transaction succeeds then.
TRIES_ALONE = 2
# How long a record that is tried alone waits for a lock: the others of its batch wait for it.
ALONE_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '250ms'"

_log = structlog.get_logger(__name__)
_events = Counter("consumer_events_total", "Records by what became of them", ["consumer", "outcome"])

_arrays = {
    "event_id": Text, "topic": Text, "partition": Integer, "offset": BigInteger,
}  # fmt: skip
_given = (
    func.unnest(*(bindparam(f"{name}s", type_=ARRAY(type_)) for name, type_ in _arrays.items()))
    .table_valued(*(column(name, type_) for name, type_ in _arrays.items()))
    .render_derived("given")
)
_TAKE = prepare(
    insert(inbox)
    .from_select(
        ["consumer", *_arrays],
        select(bindparam("consumer", type_=Text), *(_given.c[name] for name in _arrays)),
    )
    .on_conflict_do_nothing(index_elements=[inbox.c.consumer, inbox.c.event_id])
    .returning(inbox.c.event_id)
)


class HeldUp(Exception):
    """All was taken in but these records: somebody else holds a lock on what they change, or they come after such a one
    in its key. They are to be handed in again, in their order."""

    def __init__(self, records: Sequence[Record]) -> None:
        super().__init__(f"{len(records)} records wait for a lock")
        self.records = records


class Inbox:
    """One consumer's inbox; `handlers` are by the short name of the event's type. `on_held_up` is called for each
    record that another transaction is in the way of: many that are tried one after the other take their time."""

    def __init__(
        self, pool: Pool, consumer: str, handlers: Handlers, *, on_held_up: Callable[[], None] = lambda: None
    ) -> None:
        self._pool = pool
        self._consumer = consumer
        self._handlers = handlers
        self._on_held_up = on_held_up

    async def accept(self, records: Sequence[Record]) -> None:
        """Take in all records, in one transaction; when that fails, each in one of its own and the bad ones as poison.

        Raises `HeldUp`, and connection failures: then nothing is known, and the same records are to be handed in again.
        """
        failpoints.hit("consumer.before_tx")
        try:
            await self._accept_together(records)
        except Exception as error:
            if is_connection_failure(error) and not is_contention(error):
                raise
            _log.warning("a batch failed; its records are tried one by one", records=len(records), error=repr(error))
            await self.accept_each(records)

    async def accept_each(self, records: Iterable[Record]) -> None:
        """As `accept`, each record in a transaction of its own from the beginning."""
        held_up: list[Record] = []
        keys: set[bytes | None] = set()
        for record in records:
            if record.key in keys or not await self._accept_alone(record):
                held_up.append(record)
                keys.add(record.key)
        if held_up:
            raise HeldUp(held_up)

    async def _accept_alone(self, record: Record) -> bool:
        """Whether it was taken in or kept as poison; not while another transaction is in its way."""
        for tries_left in reversed(range(TRIES_ALONE)):
            try:
                await self._accept_together([record], ALONE_LOCK_TIMEOUT)
            except Exception as error:
                if is_contention(error):
                    self._on_held_up()
                    return False
                if is_connection_failure(error):
                    raise
                if tries_left == 0:
                    await self._keep(record, error)
            else:
                return True
        return True

    async def _accept_together(self, records: Sequence[Record], setting: str | None = None) -> None:
        wanted: list[tuple[Record, Incoming[Any]]] = []
        unreadable: list[tuple[Record, str]] = []
        for record in records:
            try:
                if (incoming := read(record, self._handlers)) is not None:
                    wanted.append((record, incoming))
            except UnreadableRecord as error:
                unreadable.append((record, str(error)))
        new = 0
        if wanted or unreadable:
            async with transaction(self._pool) as connection:
                if setting is not None:
                    await connection.execute(setting)
                new = await take(connection, self._consumer, self._handlers, wanted)
                for record, reason in unreadable:
                    await poison.keep(connection, self._consumer, record, reason)
        for record, reason in unreadable:
            self._tell(record, reason)
        self._count(accepted=new, repeated=len(wanted) - new, skipped=len(records) - len(wanted) - len(unreadable))

    async def _keep(self, record: Record, error: Exception) -> None:
        async with transaction(self._pool) as connection:
            await poison.keep(connection, self._consumer, record, repr(error))
        self._tell(record, repr(error))

    def _tell(self, record: Record, error: str) -> None:
        if isinstance(record, UndecodableBatch):
            _log.critical(
                "a batch that cannot be decoded was kept as poison; the records in it were not taken in",
                alert="batch_undecodable", topic=record.topic, partition=record.partition,
                offset=record.offset, last_offset=record.last_offset, error=error[:200],
            )  # fmt: skip
        else:
            _log.error(
                "record kept as poison",
                topic=record.topic, partition=record.partition, offset=record.offset, error=error[:200],
            )  # fmt: skip
        self._count(poisoned=1)

    def _count(self, **outcomes: int) -> None:
        for outcome, count in outcomes.items():
            if count:
                _events.labels(self._consumer, outcome).inc(count)


async def take(
    connection: Connection, consumer: str, handlers: Handlers, wanted: Sequence[tuple[Record, Incoming[Any]]]
) -> int:
    """Write the inbox and hand each handler what is new, in this transaction. Returns how many events were new."""
    if not wanted:
        return 0
    rows = await _TAKE.fetch_all(
        connection,
        consumer=consumer,
        event_ids=[incoming.event.id for _, incoming in wanted],
        topics=[record.topic for record, _ in wanted],
        partitions=[record.partition for record, _ in wanted],
        offsets=[record.offset for record, _ in wanted],
    )
    new = {row["event_id"] for row in rows}
    by_handler: dict[EventHandler[Any], list[Incoming[Any]]] = {}
    for _, incoming in wanted:
        if incoming.event.id in new:
            new.remove(incoming.event.id)  # a repeat may be in the same batch
            by_handler.setdefault(handlers[incoming.event.type], []).append(incoming)
    for handler, events in by_handler.items():
        await handler.accept(connection, events)
    return len(rows)


async def replay(connection: Connection, consumer: str, handlers: Handlers, poison_id: UUID) -> None:
    """Take in a record that was kept as poison, after its cause was mended; of a batch, all its records or none.

    Raises `Problem` NOT_FOUND, CONFLICT when it was replayed before or is still unreadable, and what the handler
    raises when it still fails.
    """
    record = await poison.find(connection, poison_id)
    if record is None:
        raise Problem.not_found("poison", poison_id)
    if record.state != "kept":
        raise Problem(Code.CONFLICT, "The record was replayed before.", {"state": record.state})
    try:
        records = decode(record.value or b"", record.topic, record.partition) if record.kind == "batch" else [record]
        read_records = [(each, read(each, handlers)) for each in records]
    except UnreadableRecord as error:
        raise Problem(Code.CONFLICT, "The record is still unreadable.", {"error": str(error)}) from error
    wanted = [(each, incoming) for each, incoming in read_records if incoming is not None]
    await take(connection, consumer, handlers, wanted)
    await poison.set_replayed(connection, poison_id)
