"""An example consumer that processes each event of ArtiCurated once: `docs/how-to/subscribe-to-events.md`.

    python examples/subscriber.py --bootstrap HOST:PORT [--group NAME] [--key ORDER_ID] [--database FILE] [--follow]

Delivery is at least once, so an event can be delivered again. The consumer stores an event's id in the same transaction
as its effect, and commits the offset to Kafka afterwards: after a crash the last events are delivered again, without
effect.
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
    options = arguments()
    database = sqlite3.connect(options.database)
    database.executescript(TABLES)
    consumer = AIOKafkaConsumer(
        *TOPICS,
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        while options.follow or not await is_at_the_end(consumer):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                with database:
                    new_records = [record for record in records if process(database, record)]
                for record in new_records:
                    show(record, options.key)
            if options.group:
                await consumer.commit()
    finally:
        await consumer.stop()
        database.close()


async def is_at_the_end(consumer: AIOKafkaConsumer) -> bool:
    partitions = consumer.assignment()
    if {partition.topic for partition in partitions} != set(TOPICS):
        return False  # the group has not assigned all partitions yet
    ends = await consumer.end_offsets(partitions)
    return all([await consumer.position(partition) >= end for partition, end in ends.items()])


def show(record: ConsumerRecord, key: str | None) -> None:
    if key in (None, (record.key or b"").decode(errors="replace")):
        event = headers(record)
        name = event["ce_type"].removeprefix("com.articurated.").removesuffix(".v1")
        print(record.topic, event["ce_sequence"], name, flush=True)  # noqa: T201


def process(database: sqlite3.Connection, record: ConsumerRecord) -> bool:
    """Apply the event and store its id in one transaction. Returns False for a repeat and for unknown records.

    State is applied only if (epoch, sequence) is higher than that of the stored state.
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
    parser = argparse.ArgumentParser(description="Print each event once.")
    parser.add_argument("--bootstrap", required=True, help="address of Kafka, as HOST:PORT")
    parser.add_argument("--group", help="consumer group whose offsets Kafka stores; without it, read all records")
    parser.add_argument("--key", help="show the events of this order only")
    parser.add_argument("--follow", action="store_true", help="wait for new records until Ctrl-C")
    parser.add_argument("--database", default=":memory:", help="SQLite file with the ids of processed events")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
