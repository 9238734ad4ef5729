"""Order events by the thousand: as rows of the outbox, and as the records that Kafka gets of them."""

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
LIFE = ("order.created", "order.paid", "order.processing", "order.shipped", "order.delivered")
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
COLUMNS = (
    "id", "aggregatetype", "aggregateid", "type", "payload", "topic", "key", "sequence", "traceparent", "created_at",
)  # fmt: skip

_INSERT = prepare(outbox.insert_event())
_NOTE_PENDING = """
INSERT INTO outbox_pending SELECT position, crc32(convert_to(key, 'UTF8')) % 32 FROM outbox WHERE position > $1"""

Headers: TypeAlias = list[tuple[str, bytes]]
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """What is sent to Kafka for one row of the outbox."""

    partition: int
    key: bytes
    value: bytes
    headers: Headers


def lives_of(orders: int, types: Sequence[str] = LIFE) -> list[Row]:
    """The events of so many new orders, all of them created before the first is paid, and so on."""
    ids = [str(uuid4()) for _ in range(orders)]
    return [_row(order, event, sequence) for sequence, event in enumerate(types, start=1) for order in ids]


def records_of(rows: Iterable[Row]) -> Iterator[Record]:
    """As the relay sends them."""
    for row in rows:
        headers = event_headers("orders", {"epoch": 1, "causation_id": None, "headers": None, **row})
        yield Record(partition_of(row["key"], PARTITIONS), row["key"].encode(), row["payload"], headers)


async def append(connection: Connection, row: Row) -> None:
    """One row, as a gateway writes it."""
    event = NewEvent(
        row["type"], row["topic"], "order", row["key"], row["key"], row["sequence"], row["payload"], TRACEPARENT
    )
    await _INSERT.execute(connection, **{**outbox.event_parameters(event), "event_id": row["id"]})


async def copy_into_outbox(connection: Connection, rows: Iterable[Row]) -> None:
    """All in one transaction, in this order."""
    last = await connection.fetchval("SELECT coalesce(max(position), 0) FROM outbox")
    records = [tuple(row[name] for name in COLUMNS) for row in rows]
    await connection.copy_records_to_table("outbox", records=records, columns=COLUMNS)
    await connection.execute(_NOTE_PENDING, last)


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
    """The contract's example of the event, of an order with two lines, in the form that orders writes."""
    folder = Path(__file__).parents[1] / "contracts" / "examples" / event
    (example,) = (*folder.glob("two-tax-rates.json"), *folder.glob("with-transaction-id.json"))
    data = json.loads(example.read_text())
    return json.dumps({**data, "order_id": "{order}"}, ensure_ascii=False, separators=(",", ":")).encode()
