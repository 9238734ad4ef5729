"""The rules of eligibility: which orders can be returned."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """The copy of an order, as of its last consumed event. `total_amount` includes tax."""

    order_id: UUID
    order_number: str
    customer_id: UUID
    customer_email: str | None
    customer_name: str | None
    # A text, not an enumeration: a newer version of orders may have more states.
    status: str
    currency: str
    total_amount: Decimal
    payment_reference: str | None
    delivered_at: datetime | None

    @property
    def is_delivered(self) -> bool:
        return self.status == "DELIVERED"

    @property
    def may_yet_be_delivered(self) -> bool:
        return self.status not in {"DELIVERED", "CANCELLED"}


class Ineligibility(StrEnum):
    """The reason why an order cannot be returned; the first one that applies."""

    ALREADY_RETURNED = "already_returned"
    NOT_DELIVERED = "not_delivered"
    WINDOW_EXPIRED = "window_expired"


def ineligibility(
    order: KnownOrder, *, already_returned: bool, requested_at: datetime, window: timedelta
) -> Ineligibility | None:
    """None when the order can be returned: delivered, never returned before, and requested within `window` of its
    delivery, the last instant included."""
    if already_returned:
        return Ineligibility.ALREADY_RETURNED
    if not order.is_delivered or order.delivered_at is None:
        return Ineligibility.NOT_DELIVERED
    if requested_at - order.delivered_at > window:
        return Ineligibility.WINDOW_EXPIRED
    return None
