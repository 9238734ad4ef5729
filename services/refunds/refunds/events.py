"""The events that refunds publishes (docs/reference/events.md); `views` has what it reads of others."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID, uuid5

from common.audit.actor import Actor
from common.messaging.envelope import EventData
from common.messaging.outgoing.outbox import NewEvent

from refunds.domain.refund import Refund, RefundStatus
from refunds.domain.request import Cause, RefundRequest

# A dispute's id at the provider is no UUID; its events are about the UUIDv5 of it within this namespace.
_DISPUTES = UUID("3f0c5f0e-6a43-4c28-9a0f-3a0bb6f4a0d6")

REFUNDS_TOPIC = "articurated.refunds"
ORDERS_TOPIC = "articurated.orders"
RETURNS_TOPIC = "articurated.returns"

SUCCEEDED = "refund.succeeded"
FAILED = "refund.failed"
PROCESSING = "refund.processing"
REVERSED = "refund.reversed"
DISPUTE_OPENED = "dispute.opened"
DISPUTE_WON = "dispute.won"
DISPUTE_LOST = "dispute.lost"
PUBLISHED = (SUCCEEDED, FAILED, PROCESSING, REVERSED)
PUBLISHED_DISPUTES = (DISPUTE_OPENED, DISPUTE_WON, DISPUTE_LOST)

# The causes of version 1 are a closed set: a surplus payment has the nearest one.
_PUBLISHED_CAUSE: Mapping[Cause, Literal["RETURN_COMPLETED", "ORDER_CANCELLED", "LATE_PAYMENT"]] = {
    Cause.RETURN_COMPLETED: "RETURN_COMPLETED",
    Cause.ORDER_CANCELLED: "ORDER_CANCELLED",
    Cause.LATE_PAYMENT: "LATE_PAYMENT",
    Cause.SURPLUS_PAYMENT: "LATE_PAYMENT",
    Cause.OPERATOR: "LATE_PAYMENT",
}
# The statuses too; `state` has all of them.
_PUBLISHED_STATUS: Mapping[RefundStatus, Literal["PENDING", "SUCCEEDED", "FAILED"]] = {
    RefundStatus.READY: "PENDING",
    RefundStatus.CALLING: "PENDING",
    RefundStatus.UNKNOWN: "PENDING",
    RefundStatus.PENDING: "PENDING",
    RefundStatus.HELD: "PENDING",
    RefundStatus.SUCCEEDED: "SUCCEEDED",
    RefundStatus.DECLINED: "FAILED",
    RefundStatus.FAILED: "FAILED",
    RefundStatus.REVERSED: "FAILED",
}


class RefundData(EventData):
    """The refund's full state after the change; the amount as a decimal string in major units.

    `cause` is LATE_PAYMENT for every payment that the state of its order did not allow, and for a refund that an
    operator requested. `status` is PENDING while the outcome is open, and FAILED for every refund that is not paid;
    `state` says which.
    """

    refund_id: UUID
    order_id: UUID
    return_id: UUID | None = None
    cause: Literal["RETURN_COMPLETED", "ORDER_CANCELLED", "LATE_PAYMENT"]
    amount: Decimal
    currency: str
    payment_reference: str
    status: Literal["PENDING", "SUCCEEDED", "FAILED"]
    transaction_id: str | None = None
    error: str | None = None
    attempts: int
    created_at: datetime
    completed_at: datetime | None = None
    state: (
        Literal["READY", "CALLING", "UNKNOWN", "PENDING", "SUCCEEDED", "DECLINED", "FAILED", "HELD", "REVERSED"] | None
    ) = None


class DisputeData(EventData):
    """The customer's bank reclaims a payment (a chargeback), or has decided; the amount as a decimal string in major
    units. `reason` is the provider's word for it."""

    order_id: UUID
    order_number: str
    payment_reference: str
    dispute_id: str
    amount: Decimal
    currency: str
    reason: str | None = None
    status: Literal["OPENED", "WON", "LOST"]


def new_event(event_type: str, refund: Refund, actor: Actor) -> NewEvent:
    """`refund.succeeded`: the gateway has made the refund, under `transaction_id`. `refund.failed`: it failed
    permanently, until an operator replays its job; `refund.succeeded` may still follow. `refund.processing`: the
    gateway has accepted it, or its answer was lost; the result follows. `refund.reversed`: a refund that had succeeded
    was taken back by the provider.
    """
    return NewEvent.by(
        actor,
        type=event_type,
        topic=REFUNDS_TOPIC,
        aggregate_type="refund",
        aggregate_id=refund.id,
        key=refund.request.order_id,
        data=refund_data(refund).model_dump_json().encode(),
    )


def refund_data(refund: Refund) -> RefundData:
    request = refund.request
    fields: dict[str, object] = {
        "refund_id": refund.id,
        "cause": _PUBLISHED_CAUSE[request.cause],
        "status": _PUBLISHED_STATUS[refund.status],
        "state": refund.status,
    }
    for name in RefundData.model_fields.keys() - fields.keys():
        fields[name] = getattr(request if name in RefundRequest.__slots__ else refund, name)
    return RefundData.model_validate(fields)


def dispute_event(data: DisputeData, actor: Actor) -> NewEvent:
    return NewEvent.by(
        actor,
        type=f"dispute.{data.status.lower()}",
        topic=REFUNDS_TOPIC,
        aggregate_type="dispute",
        aggregate_id=uuid5(_DISPUTES, data.dispute_id),
        key=data.order_id,
        data=data.model_dump_json().encode(),
    )
