"""A running subscriber whose handler writes one line per event, and the events it consumes."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import asyncpg
from common.database.statements import Connection
from common.database.transactions import Pool
from common.messaging.envelope import EventView
from common.messaging.incoming.records import EventHandler, Handlers, Incoming
from common.messaging.incoming.subscriber import Subscriber
from prometheus_client import REGISTRY
from support.postgres.databases import Database
from support.running import running
from support.waiting import eventually

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


async def caught_up(pool: Pool, partitions: int = 3) -> None:
    """Wait until the consumer has reported that it has processed all that is in the topic now."""
    now = await pool.fetchval("SELECT now()")

    async def is_caught_up() -> bool:
        query = "SELECT count(*) FROM consumer_positions WHERE caught_up_at >= $1"
        return bool(await pool.fetchval(query, now) == partitions)

    await eventually(is_caught_up)


async def has_lines(pool: Pool, count: int) -> bool:
    return len(await written_lines(pool)) == count


def lag_of(topic: str, partition: int) -> float | None:
    return REGISTRY.get_sample_value("consumer_lag", {"topic": topic, "partition": str(partition)})


async def is_connected(subscriber: Subscriber) -> bool:
    return subscriber.connected
