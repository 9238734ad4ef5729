"""The events that returns publishes, and its views of the events that it consumes."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias
from uuid import UUID

from common.audit.actor import Actor
from common.messaging.envelope import EventData, EventView
from common.messaging.outgoing.outbox import NewEvent
from pydantic import AwareDatetime

from returns.domain.return_ import RefundStatus, RejectionReason, Return, ReturnStatus

RETURNS_TOPIC = "articurated.returns"
ORDERS_TOPIC = "articurated.orders"
REFUNDS_TOPIC = "articurated.refunds"

OF_STATUS: Mapping[ReturnStatus, str] = {status: f"return.{status.lower()}" for status in ReturnStatus}
# What the events of refunds say about a refund.
OF_REFUND: Mapping[str, RefundStatus] = {
    "refund.processing": RefundStatus.PROCESSING,
    "refund.succeeded": RefundStatus.SUCCEEDED,
    "refund.failed": RefundStatus.FAILED,
    "refund.reversed": RefundStatus.REVERSED,
}
PUBLISHED = tuple(OF_STATUS.values())
# A closed set in version 1. The last event of a return is that of its completion, when the refund is pending.
PublishedRefundStatus: TypeAlias = Literal["NONE", "PENDING", "SUCCEEDED", "FAILED"]


class ReturnData(EventData):
    """A return after the change; the data of every `return.*` event."""

    return_id: UUID
    order_id: UUID
    order_number: str
    customer_id: UUID
    customer_email: str | None
    customer_name: str | None
    status: ReturnStatus
    reason: str
    customer_notes: str | None
    manager_notes: str | None
    rejection_reason: RejectionReason | None
    refund_amount: Decimal
    currency: str
    payment_reference: str
    refund_status: PublishedRefundStatus
    refund_transaction_id: str | None
    created_at: datetime
    updated_at: datetime
    approved_at: datetime | None
    rejected_at: datetime | None
    completed_at: datetime | None
    version: int
    external_id: str | None = None
    metadata: Mapping[str, str] = {}


class OrderView(EventView):
    """View of every `order.*` event: what decides whether an order can be returned, and how much is then refunded."""

    order_id: UUID
    order_number: str
    customer_id: UUID
    customer_email: str | None = None
    customer_name: str | None = None
    status: str
    currency: str
    total_amount: Decimal
    captured_amount: Decimal | None = None
    payment_reference: str | None = None
    delivered_at: AwareDatetime | None = None


class RefundView(EventView):
    """View of every `refund.*` event, whose type is the refund's state; without a `return_id` it is not the refund of a
    return."""

    refund_id: UUID
    return_id: UUID | None = None
    transaction_id: str | None = None
    error: str | None = None


_RETURN_FIELDS = tuple(name for name in ReturnData.model_fields if name != "return_id")


def return_data(of: Return) -> ReturnData:
    return ReturnData.model_validate({"return_id": of.id, **{name: getattr(of, name) for name in _RETURN_FIELDS}})


def new_event(event_type: str, of: Return, actor: Actor) -> NewEvent:
    return NewEvent.by(
        actor,
        type=event_type,
        topic=RETURNS_TOPIC,
        aggregate_type="return",
        aggregate_id=of.id,
        key=of.order_id,
        data=return_data(of).model_dump_json().encode(),
        time=of.updated_at,
    )
