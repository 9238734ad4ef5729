"""The events that cause a refund of 79.06 EUR to Ada, and their Kafka records."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from common.messaging.envelope import full_name
from refunds.events import ORDERS_TOPIC, RETURNS_TOPIC
from support.events.traceparent import TRACEPARENT
from support.example.ada import CUSTOMER, ORDER_NUMBER, TOTAL

COMPLETED_AT = "2026-11-20T09:30:00Z"
_offsets = itertools.count()


@dataclass(frozen=True)
class KafkaRecord:
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_763_631_000_000


def return_completed(**changes: Any) -> dict[str, Any]:
    """The complete data of `return.completed`, including fields that refunds does not read. A new return each time."""
    return {
        "return_id": str(uuid4()),
        "order_id": str(uuid4()),
        "order_number": ORDER_NUMBER,
        **CUSTOMER,
        "status": "COMPLETED",
        "reason": "The glaze is cracked.",
        "customer_notes": None,
        "manager_notes": "As she says.",
        "rejection_reason": None,
        "refund_amount": TOTAL,
        "currency": "EUR",
        "payment_reference": f"pi_{uuid4().hex}",
        "refund_status": "PENDING",
        "refund_transaction_id": None,
        "created_at": "2026-11-18T10:00:00Z",
        "updated_at": COMPLETED_AT,
        "approved_at": "2026-11-18T12:00:00Z",
        "rejected_at": None,
        "completed_at": COMPLETED_AT,
        "version": 5,
        **changes,
    }


def order_cancelled(**changes: Any) -> dict[str, Any]:
    """The data of `order.cancelled` for a paid order, including fields that refunds does not read."""
    reference = f"pi_{uuid4().hex}"
    return {
        "order_id": str(uuid4()),
        "order_number": ORDER_NUMBER,
        **CUSTOMER,
        "status": "CANCELLED",
        "currency": "EUR",
        "total_amount": TOTAL,
        "captured_amount": TOTAL,
        "payment_transaction_id": reference,
        "payment_reference": reference,
        "refund_status": "PENDING",
        "late_payment": None,
        "version": 3,
        **changes,
    }


def order_paid_late(**changes: Any) -> dict[str, Any]:
    """`order.late_payment`: the order was cancelled unpaid, then a payment was reported."""
    payment = {"reference": f"pi_{uuid4().hex}", "amount": TOTAL}
    return order_cancelled(captured_amount=None, payment_reference=None, late_payment=payment, **changes)


def order_paid_twice(**changes: Any) -> dict[str, Any]:
    """`order.surplus_payment`: the order was paid, then another payment was reported."""
    payment = {"reference": f"pi_{uuid4().hex}", "amount": TOTAL}
    cancelled = order_cancelled(status="SHIPPED", refund_status="NONE")
    return {**cancelled, "surplus_payment": payment, "identified_payment": None, **changes}


def payment_identified(order_id: str, reference: str) -> dict[str, Any]:
    """`order.payment_identified`: the id of a payment that was reported without one."""
    payment = {"reference": reference, "first_reference": f"order-{order_id}", "amount": TOTAL}
    return order_cancelled(order_id=order_id, payment_reference=reference, identified_payment=payment)


def kafka_record(
    event_type: str, data: dict[str, Any] | bytes, *, event_id: str | None = None, key: str | None = None
) -> KafkaRecord:
    """The Kafka record of an event; its value is `data` as JSON, or the bytes unchanged."""
    order_id = key or (data["order_id"] if isinstance(data, dict) else str(uuid4()))
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event_id or str(uuid4()),
        "ce_source": "/articurated/orders",
        "ce_type": full_name(event_type),
        "ce_subject": order_id,
        "ce_time": COMPLETED_AT,
        "ce_sequence": "5",
        "ce_epoch": "1",
        "traceparent": TRACEPARENT,
    }
    return KafkaRecord(
        topic=RETURNS_TOPIC if event_type.startswith("return.") else ORDERS_TOPIC,
        key=order_id.encode(),
        value=data if isinstance(data, bytes) else json.dumps(data).encode(),
        headers=[(name, value.encode()) for name, value in headers.items()],
        offset=next(_offsets),
    )
