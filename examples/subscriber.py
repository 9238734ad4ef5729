"""Follow ArtiCurated's events with a consumer of your own, each one once: `docs/how-to/subscribe-to-events.md`.

    python examples/subscriber.py --bootstrap HOST:PORT [--group NAME] [--key ORDER_ID] [--database FILE] [--follow]

Delivery is at least once, so an event can come again. What was taken in is written in the same transaction as its
effect, and only then is its position told to Kafka: after a crash the last events come again, and have no effect.
"""

import argparse
import asyncio
import json
import sqlite3
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

TOPICS = ("articurated.orders", "articurated.returns", "articurated.invoices", "articurated.refunds")
TABLES = """
CREATE TABLE IF NOT EXISTS inbox (event_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS newest (
  topic TEXT, subject TEXT, epoch INTEGER, sequence INTEGER, state TEXT, PRIMARY KEY (topic, subject)
);
"""


async def main() -> None:
    given = arguments()
    database = sqlite3.connect(given.database)
    database.executescript(TABLES)
    consumer = AIOKafkaConsumer(
        *TOPICS,
        bootstrap_servers=given.bootstrap,
        group_id=given.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        while given.follow or not await is_at_the_end(consumer):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                with database:
                    new = [record for record in records if take_in(database, record)]
                for record in new:
                    show(record, given.key)
            if given.group:
                await consumer.commit()
    finally:
        await consumer.stop()
        database.close()


async def is_at_the_end(consumer: AIOKafkaConsumer) -> bool:
    partitions = consumer.assignment()
    if {partition.topic for partition in partitions} != set(TOPICS):
        return False  # not all are assigned yet
    ends = await consumer.end_offsets(partitions)
    return all([await consumer.position(partition) >= end for partition, end in ends.items()])


def show(record: ConsumerRecord, key: str | None) -> None:
    if key in (None, (record.key or b"").decode(errors="replace")):
        event = headers(record)
        name = event["ce_type"].removeprefix("com.articurated.").removesuffix(".v1")
        print(record.topic, event["ce_sequence"], name, flush=True)  # noqa: T201


def take_in(database: sqlite3.Connection, record: ConsumerRecord) -> bool:
    """The event's effect, in one transaction with the note that it was had; False for a repeat, and for what is none.

    State is taken over only from an event that is newer than the one it came from; (epoch, sequence) tells.
    """
    event = headers(record)
    if event.get("ce_specversion") != "1.0" or not event.get("ce_type", "").endswith(".v1"):
        return False
    if database.execute("INSERT OR IGNORE INTO inbox VALUES (?)", (event["ce_id"],)).rowcount == 0:
        return False
    state = json.loads(record.value)
    database.execute(
        "INSERT INTO newest VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
        "SET epoch = excluded.epoch, sequence = excluded.sequence, state = excluded.state "
        "WHERE (excluded.epoch, excluded.sequence) > (epoch, sequence)",
        (record.topic, event["ce_subject"], int(event["ce_epoch"]), int(event["ce_sequence"]), state.get("status")),
    )
    return True


def headers(record: ConsumerRecord) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in record.headers if value is not None}


def arguments() -> Any:
    parser = argparse.ArgumentParser(description="Show events, each once.")
    parser.add_argument("--bootstrap", required=True, help="where Kafka listens, as HOST:PORT")
    parser.add_argument("--group", help="remember in Kafka how far this group has read; without one, read everything")
    parser.add_argument("--key", help="show the events of this order only")
    parser.add_argument("--follow", action="store_true", help="go on with what comes, until Ctrl-C")
    parser.add_argument("--database", default=":memory:", help="a SQLite file that remembers what was taken in")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
