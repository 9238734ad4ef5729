"""What a refund is: why it is owed, the names under which it is made only once, and how it can end."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID, uuid5

from common import money

# Refund ids follow from business keys within this namespace, so that events replayed into an empty database lead to
# the same ids, and with them to the same idempotency keys at the payment gateway. It must never change.
_NAMESPACE = UUID("7c1bb0a4-94c5-4b0e-9d2a-3f6d1c5be217")


class Cause(StrEnum):
    RETURN_COMPLETED = "RETURN_COMPLETED"
    ORDER_CANCELLED = "ORDER_CANCELLED"
    LATE_PAYMENT = "LATE_PAYMENT"
    SURPLUS_PAYMENT = "SURPLUS_PAYMENT"


class Status(StrEnum):
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


# A failed refund is taken up again when an operator replays its job; one that succeeded stays as it is.
ALLOWED_TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.SUCCEEDED, Status.FAILED}),
    Status.FAILED: frozenset({Status.PENDING, Status.SUCCEEDED, Status.FAILED}),
    Status.SUCCEEDED: frozenset(),
}


class IllegalTransition(Exception):
    """The refund is not in a state from which this can happen."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Money that is owed to a customer. `business_key` is the claim's name for ever: one refund is made under it.

    Raises `ValueError` for an amount of nothing, or with more decimals than its currency has.
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


def return_key(return_id: UUID) -> str:
    return f"return:{return_id}"


def cancellation_key(order_id: UUID) -> str:
    return f"cancellation:{order_id}"


def late_payment_key(order_id: UUID, payment_reference: str) -> str:
    """An order can be paid late more than once, by different payments; each is paid back."""
    return f"late-payment:{order_id}:{payment_reference}"


def surplus_payment_key(order_id: UUID, payment_reference: str) -> str:
    """A payment that was reported while the order had been paid by another one."""
    return f"surplus-payment:{order_id}:{payment_reference}"


def display_amount(amount: Decimal, currency: str) -> str:
    """`1,234.50 EUR`: grouped, with all of the currency's decimals."""
    return f"{money.quantize(amount, currency):,.{money.minor_digits(currency)}f} {currency}"


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund per claim. A change gives a new one, or raises `IllegalTransition`.

    `attempts` counts the tries up to the latest result. `key_spent` says that the gateway has answered the current
    idempotency key with an error: it may give that answer to this key again without looking at the request.
    `identified_reference` is the provider's id of the payment, where the claim has only the reference derived from the
    order, and the id was reported later.
    """

    id: UUID
    claim: Claim
    created_at: datetime
    status: Status = Status.PENDING
    transaction_id: str | None = None
    error: str | None = None
    attempts: int = 0
    completed_at: datetime | None = None
    key_epoch: int = 0
    key_spent: bool = False
    identified_reference: str | None = None

    @property
    def reference(self) -> str:
        """Our name for the refund in the gateway's books, by which it can be looked up."""
        return self.claim.business_key

    @property
    def idempotency_key(self) -> str:
        """The same for all attempts, also by a worker that was thought dead, until `reopen` changes it."""
        return f"refund-{self.id}" if self.key_epoch == 0 else f"refund-{self.id}-{self.key_epoch}"

    def succeed(self, transaction_id: str, attempts: int, at: datetime) -> Self:
        return self._change_to(
            Status.SUCCEEDED, transaction_id=transaction_id, error=None, attempts=attempts, completed_at=at
        )

    def fail(self, error: str, attempts: int) -> Self:
        return self._change_to(Status.FAILED, error=error, attempts=attempts)

    def reopen(self) -> Self:
        """Try a failed refund again, once the gateway was asked and knows nothing of it.

        A spent key is then replaced: nothing was made under it, and all it could bring is the old error. Only then is
        the payment named by an id that was reported meanwhile: a key goes with one request for ever.
        """
        reopened = self._change_to(Status.PENDING, error=None)
        return reopened._under_a_new_key().redirect() if self.key_spent else reopened

    def redirect(self) -> Self:
        """Name the payment by its id, if that is known by now; for a refund whose key was not sent, or is spent and
        nothing was made under it."""
        if self.identified_reference is None:
            return self
        claim = replace(self.claim, payment_reference=self.identified_reference)
        unsent = self._under_a_new_key() if self.key_spent else self
        return replace(unsent, claim=claim, identified_reference=None)

    def _under_a_new_key(self) -> Self:
        return replace(self, key_epoch=self.key_epoch + 1, key_spent=False)

    def _change_to(self, status: Status, **changes: Any) -> Self:
        if status not in ALLOWED_TRANSITIONS[self.status]:
            raise IllegalTransition(f"refund {self.id} is {self.status}: it cannot become {status}")
        return replace(self, status=status, **changes)
