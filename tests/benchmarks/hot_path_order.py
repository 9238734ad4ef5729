"""The part of every variant in Python: transition, audit digest, encoding of event and response."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import msgspec

INTERNAL = ("sequence", "audit_number", "audit_head", "now", "lines")
LANES = 8

encode_event = msgspec.json.Encoder().encode
encode_response = msgspec.json.Encoder(decimal_format="number").encode
decode_json = msgspec.json.Decoder(float_hook=Decimal).decode


class RefusedError(Exception):
    """The order is in a state in which it cannot be shipped."""


def document(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    fields = {name: value for name, value in order.items() if name not in INTERNAL}
    fields["line_items"] = [dict(line) for line in lines]
    return fields


def ship(
    order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], tracking_number: str | None, carrier: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters of the writing statements, and the shipped order as a document."""
    previous_state = order["status"]
    if previous_state != "PROCESSING_IN_WAREHOUSE":
        raise RefusedError(previous_state)
    now: datetime = order["now"]
    order_id: UUID = order["id"]
    changes = {
        "status": "SHIPPED",
        "tracking_number": tracking_number,
        "carrier": carrier,
        "shipped_at": now,
        "updated_at": now,
        "version": order["version"] + 1,
    }
    shipped = document({**order, **changes}, lines)
    number, sequence = order["audit_number"] + 1, order["sequence"] + 1
    metadata = {"tracking_number": tracking_number, "carrier": carrier}
    audit_data = [order_id, number, previous_state, "SHIPPED", "warehouse-key", metadata, now]
    digest = hashlib.sha256(order["audit_head"] + encode_event(audit_data)).digest()
    event_id = uuid4()
    headers = {
        "ce_id": event_id,
        "ce_source": "/orders",
        "ce_specversion": "1.0",
        "ce_type": "com.articurated.order.shipped.v1",
        "ce_subject": order_id,
        "ce_time": now,
        "sequence": str(sequence),
    }
    parameters = {
        "order_id": order_id,
        "previous_state": previous_state,
        "new_state": "SHIPPED",
        "tracking_number": tracking_number,
        "carrier": carrier,
        "now": now,
        "version": changes["version"],
        "sequence": sequence,
        "audit_number": number,
        "digest": digest,
        "actor_id": "warehouse-key",
        "metadata": metadata,
        "event_id": event_id,
        "aggregate_id": str(order_id),
        "lane": order_id.int % LANES,
        "payload": encode_event(shipped),
        "headers": headers,
    }
    return parameters, shipped
