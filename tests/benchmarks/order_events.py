"""Order events in large numbers, as rows of the outbox and as Kafka records."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from common.database.statements import Connection, prepare
from common.messaging.envelope import event_headers
from common.messaging.kafka.partitioner import partition_of
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from orders.events import ORDERS_TOPIC

PARTITIONS = 12
LIFE_CYCLE = ("order.created", "order.paid", "order.processing", "order.shipped", "order.delivered")
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
COLUMNS = (
    "id", "aggregatetype", "aggregateid", "type", "payload", "topic", "key", "sequence", "traceparent", "created_at",
)  # fmt: skip

_INSERT = prepare(outbox.insert_event())
_INSERT_PENDING = """
INSERT INTO outbox_pending SELECT position, crc32(convert_to(key, 'UTF8')) % 32 FROM outbox WHERE position > $1"""

Headers: TypeAlias = list[tuple[str, bytes]]
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """The Kafka record of a row of the outbox."""

    partition: int
    key: bytes
    value: bytes
    headers: Headers


def new_order_events(orders: int, types: Sequence[str] = LIFE_CYCLE) -> list[Row]:
    """The events of new orders: first the creation of every order, then every payment, and so on."""
    ids = [str(uuid4()) for _ in range(orders)]
    return [_row(order, event, sequence) for sequence, event in enumerate(types, start=1) for order in ids]


def kafka_records(rows: Iterable[Row]) -> Iterator[Record]:
    """The records that the relay publishes for these rows."""
    for row in rows:
        headers = event_headers("orders", {"epoch": 1, "causation_id": None, "headers": None, **row})
        yield Record(partition_of(row["key"], PARTITIONS), row["key"].encode(), row["payload"], headers)


async def append(connection: Connection, row: Row) -> None:
    """Insert a row as a gateway does."""
    event = NewEvent(
        row["type"], row["topic"], "order", row["key"], row["key"], row["sequence"], row["payload"], TRACEPARENT
    )
    await _INSERT.execute(connection, **{**outbox.event_parameters(event), "event_id": row["id"]})


async def copy_into_outbox(connection: Connection, rows: Iterable[Row]) -> None:
    """Insert the rows with COPY in this order, and mark them as pending."""
    last = await connection.fetchval("SELECT coalesce(max(position), 0) FROM outbox")
    records = [tuple(row[name] for name in COLUMNS) for row in rows]
    await connection.copy_records_to_table("outbox", records=records, columns=COLUMNS)
    await connection.execute(_INSERT_PENDING, last)


def _row(order: str, event: str, sequence: int) -> Row:
    before, _, after = _example(event).partition(b"{order}")
    return {
        "id": uuid4(),
        "aggregatetype": "order",
        "aggregateid": order,
        "type": event,
        "payload": before + order.encode() + after,
        "topic": ORDERS_TOPIC,
        "key": order,
        "sequence": sequence,
        "traceparent": TRACEPARENT,
        "created_at": datetime.now(UTC),
    }


@cache
def _example(event: str) -> bytes:
    """The payload of the event in the format of orders, from the contract's example with two lines."""
    folder = Path(__file__).parents[1] / "contracts" / "examples" / event
    names = ("two-tax-rates", "with-transaction-id", "after-payment")
    (example,) = (path for name in names for path in folder.glob(f"{name}.json"))
    data = json.loads(example.read_text())
    return json.dumps({**data, "order_id": "{order}"}, ensure_ascii=False, separators=(",", ":")).encode()
