"""A running relay, and events that it publishes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.database.transactions import Pool, transaction
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from common.messaging.outgoing.relay import Relay
from support.events.traceparent import TRACEPARENT
from support.running import running
from support.waiting import eventually


@asynccontextmanager
async def running_relay(
    pool: Pool, bootstrap: str, owner: str = "relay-1", lease_seconds: float = 3
) -> AsyncIterator[Relay]:
    relay = Relay(pool, bootstrap, owner, source="orders", lease_seconds=lease_seconds)
    async with running(relay.run):
        yield relay


def order_event(topic: str, order: str, sequence: int, data: bytes | None = None) -> NewEvent:
    body = data if data is not None else json.dumps({"order": order, "sequence": sequence}).encode()
    return NewEvent("order.shipped", topic, "order", order, order, sequence, body, TRACEPARENT)


# The state of each event: pending, parked or published.
EVENT_STATES = """
SELECT key, sequence, CASE WHEN position IN (SELECT position FROM outbox_pending) THEN 'pending'
                           WHEN position IN (SELECT position FROM outbox_parked) THEN 'parked'
                           ELSE 'published' END AS state
FROM outbox ORDER BY key, sequence
"""
PARK_EVENT = """
WITH taken AS (DELETE FROM outbox_pending USING outbox
               WHERE outbox.position = outbox_pending.position
                     AND (outbox.topic, outbox.key, outbox.sequence) = ($1, $2, $3)
               RETURNING outbox.position, lane, topic, key)
INSERT INTO outbox_parked (position, lane, topic, key, error) SELECT *, 'too large' FROM taken RETURNING position
"""
UNPARK_EVENTS = """
WITH freed AS (DELETE FROM outbox_parked RETURNING position, lane)
INSERT INTO outbox_pending SELECT * FROM freed
"""


async def write_events(pool: Pool, topic: str, orders: list[str], sequences: range) -> None:
    """One event of each order for each sequence, every round of them committed before the next begins."""
    for sequence in sequences:
        async with transaction(pool) as connection:
            await outbox.append(connection, *(order_event(topic, order, sequence) for order in orders))


async def wait_until_published(pool: Pool, within: float = 20) -> None:
    async def none_left() -> bool:
        return bool(await pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox_pending)"))

    await eventually(none_left, within=within)
