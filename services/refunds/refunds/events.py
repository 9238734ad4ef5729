"""The events that refunds publishes (docs/reference/events.md); `views` has what it reads of others."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from common.audit.actor import Actor
from common.messaging.envelope import EventData
from common.messaging.outgoing.outbox import NewEvent

from refunds.domain.refund import Refund
from refunds.domain.request import Cause, RefundRequest

REFUNDS_TOPIC = "articurated.refunds"
ORDERS_TOPIC = "articurated.orders"
RETURNS_TOPIC = "articurated.returns"

SUCCEEDED = "refund.succeeded"
FAILED = "refund.failed"
PUBLISHED = (SUCCEEDED, FAILED)

# The causes of version 1 are a closed set: a surplus payment has the nearest one.
_PUBLISHED_CAUSE: Mapping[Cause, Literal["RETURN_COMPLETED", "ORDER_CANCELLED", "LATE_PAYMENT"]] = {
    Cause.RETURN_COMPLETED: "RETURN_COMPLETED",
    Cause.ORDER_CANCELLED: "ORDER_CANCELLED",
    Cause.LATE_PAYMENT: "LATE_PAYMENT",
    Cause.SURPLUS_PAYMENT: "LATE_PAYMENT",
}


class RefundData(EventData):
    """The refund's full state after the change; the amount as a decimal string in major units.

    `cause` is LATE_PAYMENT for every payment that the state of its order did not allow.
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


def new_event(event_type: str, refund: Refund, actor: Actor) -> NewEvent:
    """`refund.succeeded`: the gateway has made the refund, under `transaction_id`. `refund.failed`: it failed
    permanently, until an operator replays its job; `refund.succeeded` may still follow.
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
    fields = {"refund_id": refund.id, "cause": _PUBLISHED_CAUSE[request.cause]}
    for name in RefundData.model_fields.keys() - fields.keys():
        fields[name] = getattr(request if name in RefundRequest.__slots__ else refund, name)
    return RefundData.model_validate(fields)
