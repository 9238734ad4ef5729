"""What returns tells the others, and what it reads of their events."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from common.audit.trail import Actor
from common.messaging.envelope import EventData, EventView
from common.messaging.outgoing.outbox import NewEvent
from pydantic import AwareDatetime

from returns.domain import RefundStatus, RejectionReason, Return, ReturnStatus

RETURNS_TOPIC = "articurated.returns"
ORDERS_TOPIC = "articurated.orders"
REFUNDS_TOPIC = "articurated.refunds"

OF_STATUS: Mapping[ReturnStatus, str] = {status: f"return.{status.lower()}" for status in ReturnStatus}
PUBLISHED = tuple(OF_STATUS.values())


class ReturnData(EventData):
    """A return after the change that the event is about; the data of every `return.*` event."""

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
    refund_status: RefundStatus
    refund_transaction_id: str | None
    created_at: datetime
    updated_at: datetime
    approved_at: datetime | None
    rejected_at: datetime | None
    completed_at: datetime | None
    version: int


class OrderView(EventView):
    """Of every `order.*` event: what decides whether an order can be returned, and what is then paid back."""

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
    """Of `refund.succeeded` and `refund.failed`; without a `return_id` it is none of returns' business."""

    return_id: UUID | None = None
    status: Literal["SUCCEEDED", "FAILED"]
    transaction_id: str | None = None


_SAME_NAME = tuple(name for name in ReturnData.model_fields if name != "return_id")


def return_data(of: Return) -> ReturnData:
    return ReturnData.model_validate({"return_id": of.id, **{name: getattr(of, name) for name in _SAME_NAME}})


def new_event(of: Return, sequence: int, actor: Actor) -> NewEvent:
    """The event that tells of the state that the return has just come to."""
    return NewEvent(
        type=OF_STATUS[of.status],
        topic=RETURNS_TOPIC,
        aggregate_type="return",
        aggregate_id=of.id,
        key=str(of.order_id),
        sequence=sequence,
        data=return_data(of).model_dump_json().encode(),
        traceparent=actor.traceparent,
        causation_id=actor.causation_id,
        time=of.updated_at,
    )
