"""The double-entry book of payments: its accounts, the kinds of entries, and what each kind may move (ADR 38).

An entry moves an amount from one account of a payment to another one: it is debited to `target` and credited to
`source`, and cannot be unbalanced. The entries of one subject (a payment, a refund, a dispute) move the same money on,
step by step: the source of an entry is the target of the one before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from common import money


class Account(StrEnum):
    """`PAYMENT` is the customer's side: its balance is the negative of what was captured. The others are where that
    money is: `REFUNDABLE` is held and may be refunded; `PAID_ELSEWHERE` was refunded by hand at the provider;
    `SETTLED` was paid back by hand in another way; `LOST` was reclaimed by the customer's bank."""

    PAYMENT = "payment"
    REFUNDABLE = "refundable"
    IN_FLIGHT = "in_flight"
    PAID_BACK = "paid_back"
    PAID_ELSEWHERE = "paid_elsewhere"
    SETTLED = "settled"
    DISPUTED = "disputed"
    LOST = "lost"


class EntryKind(StrEnum):
    CAPTURE = "CAPTURE"
    LATE_PAYMENT = "LATE_PAYMENT"
    SURPLUS_PAYMENT = "SURPLUS_PAYMENT"
    MISMATCHED_PAYMENT = "MISMATCHED_PAYMENT"
    REFUND_RESERVED = "REFUND_RESERVED"
    REFUND_RELEASED = "REFUND_RELEASED"
    REFUND_PAID = "REFUND_PAID"
    REFUND_REVERSED = "REFUND_REVERSED"
    SETTLED_BY_HAND = "SETTLED_BY_HAND"
    FOREIGN_REFUND = "FOREIGN_REFUND"
    DISPUTE_OPENED = "DISPUTE_OPENED"
    DISPUTE_WON = "DISPUTE_WON"
    DISPUTE_LOST = "DISPUTE_LOST"


# How a payment comes into the book.
PAYMENT_KINDS = (
    EntryKind.CAPTURE,
    EntryKind.LATE_PAYMENT,
    EntryKind.SURPLUS_PAYMENT,
    EntryKind.MISMATCHED_PAYMENT,
)


# Money that went back to the customer, each time under a transaction id of its own.
PAID = (Account.PAID_BACK, Account.PAID_ELSEWHERE, Account.SETTLED)


@dataclass(frozen=True, slots=True)
class Move:
    """Where an entry moves the money of its subject, and from which accounts it may.

    Money of a subject without entries is `REFUNDABLE`. `opens`: only the first entry of its subject. `is_decision`: it
    is ours to make, and refused where less is refundable. Anything else has happened at the provider and is booked
    whatever is left: an excess is then shown, and nothing more can be reserved. So is a reservation with the
    transaction id of a refund that the provider has accepted already.
    """

    target: Account
    sources: tuple[Account, ...]
    opens: bool = False
    is_decision: bool = False

    @property
    def follows(self) -> bool:
        """Whether it needs an earlier entry of its subject: it then moves the amount of that one, of its payment."""
        return Account.REFUNDABLE not in self.sources


MOVES: Mapping[EntryKind, Move] = {
    EntryKind.REFUND_RESERVED: Move(Account.IN_FLIGHT, (Account.REFUNDABLE,), is_decision=True),
    EntryKind.REFUND_RELEASED: Move(Account.REFUNDABLE, (Account.IN_FLIGHT,)),
    EntryKind.REFUND_PAID: Move(Account.PAID_BACK, (Account.IN_FLIGHT, Account.REFUNDABLE)),
    EntryKind.REFUND_REVERSED: Move(Account.REFUNDABLE, (Account.PAID_BACK, Account.PAID_ELSEWHERE, Account.SETTLED)),
    EntryKind.SETTLED_BY_HAND: Move(Account.SETTLED, (Account.IN_FLIGHT, Account.REFUNDABLE), is_decision=True),
    EntryKind.FOREIGN_REFUND: Move(Account.PAID_ELSEWHERE, (Account.REFUNDABLE,), opens=True),
    EntryKind.DISPUTE_OPENED: Move(Account.DISPUTED, (Account.REFUNDABLE,), opens=True),
    EntryKind.DISPUTE_WON: Move(Account.REFUNDABLE, (Account.DISPUTED, Account.LOST)),
    EntryKind.DISPUTE_LOST: Move(Account.LOST, (Account.DISPUTED, Account.REFUNDABLE)),
}


class Overdrawn(Exception):
    """Less is left of the payment than should be refunded; `refundable` is what is left."""

    def __init__(self, amount: Decimal, refundable: Decimal, currency: str) -> None:
        super().__init__(f"{amount} {currency} cannot be refunded: {refundable} {currency} of the payment are left")
        self.refundable = refundable


@dataclass(frozen=True, slots=True)
class Capture:
    """A payment as it comes into the book, and whom a refund of it is for.

    An order has one `CAPTURE`, known by the order; its other payments are known by their references. Raises
    `ValueError` for an amount of zero or less, or with more decimals than its currency has.
    """

    order_id: UUID
    kind: EntryKind
    reference: str
    amount: Decimal
    currency: str
    order_number: str
    customer_email: str | None = None
    customer_name: str | None = None

    def __post_init__(self) -> None:
        if not (self.amount > 0 and money.fits(self.amount, self.currency)):
            raise ValueError(f"payment {self.reference}: {self.amount} {self.currency} cannot have been paid")
