"""An outbox row becomes the same CloudEvent whenever it is published, and is parsed back to the same values."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from common.messaging.envelope import UnreadableRecord, event_headers, full_name, parse
from support.events.traceparent import TRACEPARENT

ORDER = UUID("0192f3a4-0000-7000-8000-000000000001")
SHIPPED: dict[str, Any] = {
    "id": UUID("0192f3a4-0000-7000-8000-00000000000e"),
    "type": "order.shipped",
    "aggregateid": str(ORDER),
    "key": str(ORDER),
    "sequence": 4,
    "epoch": 1,
    "created_at": datetime(2026, 11, 22, 12, 30, tzinfo=UTC),
    "causation_id": "request-7",
    "traceparent": TRACEPARENT,
    "headers": None,
}


@dataclass
class KafkaRecord:
    headers: list[tuple[str, bytes | None]]
    key: bytes | None = str(ORDER).encode()
    value: bytes | None = b'{"order_id": "x"}'
    topic: str = "articurated.orders"
    partition: int = 3
    offset: int = 12
    timestamp: int = 0


def record_of(**changes: str | None) -> KafkaRecord:
    """The record of `SHIPPED` with some headers changed, or (None) left out."""
    headers: dict[str, bytes | None] = dict(event_headers("orders", SHIPPED))
    headers |= {name: value.encode() for name, value in changes.items() if value is not None}
    return KafkaRecord([(name, value) for name, value in headers.items() if changes.get(name, "") is not None])


def test_an_event_is_read_as_it_was_written() -> None:
    event = parse(record_of())
    assert (event.id, event.type, event.subject) == (str(SHIPPED["id"]), "order.shipped", str(ORDER))
    assert (event.epoch, event.sequence) == (1, 4)
    assert event.time == SHIPPED["created_at"]
    assert (event.causation_id, event.traceparent) == ("request-7", TRACEPARENT)
    assert event.source == "/articurated/orders"
    assert event.data == b'{"order_id": "x"}'


def test_the_same_row_gives_the_same_headers_every_time() -> None:
    assert event_headers("orders", SHIPPED) == event_headers("orders", SHIPPED)


def test_the_headers_are_cloudevents_in_binary_mode() -> None:
    headers = dict(event_headers("orders", SHIPPED))
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == full_name("order.shipped").encode() == b"com.articurated.order.shipped.v1"
    assert headers["ce_time"] == b"2026-11-22T12:30:00Z"
    assert headers["content-type"] == b"application/json"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ce_specversion": "0.3"}, "specversion"),
        ({"ce_type": "com.example.order.shipped.v1"}, "unknown event name"),
        ({"ce_type": "com.articurated.order.shipped.v2"}, "unknown major version"),
        ({"ce_id": None}, "ce_id is missing"),
        ({"ce_sequence": "four"}, "four"),
        ({"ce_time": "yesterday"}, "yesterday"),
    ],
)
def test_an_unreadable_record_has_a_reason(changes: dict[str, str | None], why: str) -> None:
    with pytest.raises(UnreadableRecord, match=why):
        parse(record_of(**changes))


def test_a_tombstone_and_a_record_without_key_are_unreadable() -> None:
    with pytest.raises(UnreadableRecord, match="without a value"):
        parse(KafkaRecord(record_of().headers, value=None))
    with pytest.raises(UnreadableRecord, match="without a key"):
        parse(KafkaRecord(record_of().headers, key=None))


def test_other_headers_that_are_not_text_are_ignored() -> None:
    record = KafkaRecord([*record_of().headers, ("x-foreign", b"\xff\xfe"), ("x-empty", None)])
    assert parse(record).type == "order.shipped"
