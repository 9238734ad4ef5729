"""The request for a refund: why and how much a customer is owed, and the business key under which it is paid once."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from uuid import UUID, uuid5

from common import money

# Refund ids are derived from business keys within this namespace, so that events replayed into an empty database lead
# to the same ids, and with them to the same idempotency keys at the payment gateway. It must never change.
_NAMESPACE = UUID("7c1bb0a4-94c5-4b0e-9d2a-3f6d1c5be217")


class Cause(StrEnum):
    RETURN_COMPLETED = "RETURN_COMPLETED"
    ORDER_CANCELLED = "ORDER_CANCELLED"
    LATE_PAYMENT = "LATE_PAYMENT"
    SURPLUS_PAYMENT = "SURPLUS_PAYMENT"
    # Requested by an operator.
    OPERATOR = "OPERATOR"


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Money that is owed to a customer. There is one refund per `business_key`, for ever.

    Raises `ValueError` for an amount of zero or less, or with more decimals than its currency has.
    """

    business_key: str
    cause: Cause
    order_id: UUID
    order_number: str
    return_id: UUID | None
    amount: Decimal
    currency: str
    payment_reference: str
    customer_email: str | None = None
    customer_name: str | None = None

    def __post_init__(self) -> None:
        if not self.amount > 0:
            raise ValueError(f"{self.business_key}: there is nothing to refund, the amount is {self.amount}")
        if not money.fits(self.amount, self.currency):
            raise ValueError(f"{self.business_key}: {self.amount} has more decimals than {self.currency}")

    @property
    def refund_id(self) -> UUID:
        return uuid5(_NAMESPACE, self.business_key)

    @property
    def displayed_amount(self) -> str:
        """`1,234.50 EUR`"""
        return f"{money.format_amount(self.amount, self.currency)} {self.currency}"


def return_key(return_id: UUID) -> str:
    return f"return:{return_id}"


def cancellation_key(order_id: UUID) -> str:
    return f"cancellation:{order_id}"


def late_payment_key(order_id: UUID, payment_reference: str) -> str:
    """An order can have several late payments; each is refunded."""
    return f"late-payment:{order_id}:{payment_reference}"


def surplus_payment_key(order_id: UUID, payment_reference: str) -> str:
    """A payment that was reported while another one had already paid the order."""
    return f"surplus-payment:{order_id}:{payment_reference}"


def operator_key(request_id: UUID) -> str:
    """An operator can refund a payment in several parts; each request is one refund."""
    return f"operator:{request_id}"
