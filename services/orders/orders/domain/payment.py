"""A payment that was reported for an order."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from orders.domain.states import RefundStatus


class PaymentKind(StrEnum):
    """The captured payment made the order paid; any other did not fit, by the order's state or by its amount."""

    CAPTURED = "CAPTURED"
    LATE = "LATE"  # reported after the order was cancelled
    SURPLUS = "SURPLUS"  # reported after the order was paid by another payment
    MISMATCHED = "MISMATCHED"  # of another amount than the order needs: people decide about it


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of one order, known by its `reference`: the provider's id, or one derived from the order.

    `first_reference` is the derived one, of a payment that was first reported without an id: the payment is still
    known by it. `refund_status` is None until something is known of a refund of it.
    """

    reference: str
    amount: Decimal
    kind: PaymentKind
    reported_at: datetime
    first_reference: str | None = None
    refund_status: RefundStatus | None = None
    refund_transaction_id: str | None = None

    def is_known_as(self, reference: str) -> bool:
        return reference in (self.reference, self.first_reference)
