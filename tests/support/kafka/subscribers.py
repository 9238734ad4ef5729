"""A running subscriber whose handler writes one line per event, and the events it consumes."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import asyncpg
from common.database.statements import Connection
from common.database.transactions import Pool
from common.messaging.envelope import EventView
from common.messaging.incoming.records import EventHandler, Handlers, Incoming
from common.messaging.incoming.subscriber import Subscriber
from support.postgres.databases import Database
from support.running import running

GROUP = "invoicing"


class OrderShipped(EventView):
    order: str
    sequence: int


class BrokenOrder(Exception):
    """Raised by the handler for an order named `broken`."""


async def create_lines(database: Database) -> None:
    """Create the table that the handler writes to; without a unique key, so that a duplicate is seen."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute('CREATE TABLE lines ("order" text, sequence bigint, number bigserial)')
    await owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")
    await owner.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC")
    await owner.close()


async def write_lines(connection: Connection, events: Sequence[Incoming[OrderShipped]]) -> None:
    for incoming in events:
        if incoming.data.order == "broken":
            raise BrokenOrder
    await connection.executemany(
        'INSERT INTO lines ("order", sequence) VALUES ($1, $2)',
        [(incoming.data.order, incoming.data.sequence) for incoming in events],
    )


HANDLERS: Handlers = {"order.shipped": EventHandler(OrderShipped, write_lines)}


async def written_lines(pool: Pool) -> list[tuple[str, int]]:
    return [(row["order"], row["sequence"]) for row in await pool.fetch("SELECT * FROM lines ORDER BY number")]


def subscriber(
    pool: Pool, bootstrap: str, topics: Collection[str], handlers: Handlers = HANDLERS, **settings: float
) -> Subscriber:
    """A group member whose partitions are reassigned 3 seconds after it was killed."""
    timing = {"session_seconds": 3, "settle_seconds": 0, **settings}
    return Subscriber(pool, bootstrap, group=GROUP, topics=topics, handlers=handlers, **timing)


@asynccontextmanager
async def running_subscriber(
    pool: Pool, bootstrap: str, topics: Collection[str], handlers: Handlers = HANDLERS, **settings: float
) -> AsyncIterator[Subscriber]:
    consumer = subscriber(pool, bootstrap, topics, handlers, **settings)
    async with running(consumer.run):
        yield consumer
