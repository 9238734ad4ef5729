"""Evidence: what each service knows of one order, as the parts of their timelines that the diagnosis reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

import msgspec

from orders.explanation.service_timeline import Timeline


class Order(msgspec.Struct):
    id: UUID
    order_number: str
    status: str
    currency: str
    total_amount: Decimal
    created_at: datetime
    updated_at: datetime
    customer_email: str | None = None
    captured_amount: Decimal | None = None
    paid_at: datetime | None = None
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    cancelled_at: datetime | None = None


class Payment(msgspec.Struct):
    reference: str
    amount: Decimal
    late: bool
    surplus: bool
    mismatched: bool
    reported_at: datetime
    first_reference: str | None = None
    refund_status: str | None = None


class InvoiceCopy(msgspec.Struct):
    invoice_id: UUID
    invoice_number: str
    issued_at: datetime


class OrdersTimeline(Timeline, kw_only=True):
    order: Order
    payments: list[Payment]
    invoice: InvoiceCopy | None = None


class Invoice(msgspec.Struct):
    id: UUID
    number: str
    status: str
    mail_status: str
    created_at: datetime
    issued_at: datetime | None = None


class InvoicingTimeline(Timeline, kw_only=True):
    invoice: Invoice | None = None


class Return(msgspec.Struct):
    id: UUID
    status: str
    payment_reference: str
    refund_status: str
    created_at: datetime
    updated_at: datetime
    approvals: int
    approvals_needed: int
    review_until: datetime
    approved_at: datetime | None = None
    completed_at: datetime | None = None


class OrderCopy(msgspec.Struct):
    status: str
    sequence: int


class ReturnsTimeline(Timeline, kw_only=True):
    opened_return: Return | None = None
    order_copy: OrderCopy | None = None


class Call(msgspec.Struct):
    kind: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    answer: str | None = None


class Refund(msgspec.Struct):
    id: UUID
    business_key: str
    cause: str
    amount: Decimal
    currency: str
    payment_reference: str
    status: str
    created_at: datetime
    calls: list[Call]
    customer_email: str | None = None
    transaction_id: str | None = None
    error: str | None = None
    completed_at: datetime | None = None
    called_at: datetime | None = None
    unreached_since: datetime | None = None
    settled_by_hand: bool = False


class BookedPayment(msgspec.Struct):
    reference: str
    currency: str
    excess: Decimal


class Dispute(msgspec.Struct):
    dispute_id: str
    payment_reference: str
    status: str
    changed_at: datetime
    reason: str | None = None


class Disagreement(msgspec.Struct):
    reference: str
    kind: str
    booked: str
    reported: str
    created_at: datetime


class PaymentGateway(msgspec.Struct):
    is_failing: bool
    failing_since: datetime | None = None
    error: str | None = None


class RefundsTimeline(Timeline, kw_only=True):
    refunds: list[Refund]
    payments: list[BookedPayment]
    disputes: list[Dispute]
    disagreements: list[Disagreement]
    gateway: PaymentGateway


class Silence(msgspec.Struct, frozen=True):
    """Why a service did not answer: `reason` is one of `unreachable`, `slow`, `unavailable`, `refused`."""

    reason: str
    error: str


PeerTimeline: TypeAlias = ReturnsTimeline | InvoicingTimeline | RefundsTimeline
TYPES: Mapping[str, type[PeerTimeline]] = {
    "returns": ReturnsTimeline,
    "invoicing": InvoicingTimeline,
    "refunds": RefundsTimeline,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """After these times without a result, the reconciler of orders or returns asks for it again."""

    invoice: timedelta = timedelta(minutes=12)
    refund: timedelta = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A timeline is None where its service did not answer; `silent` then says why."""

    orders: OrdersTimeline
    returns: ReturnsTimeline | None
    invoicing: InvoicingTimeline | None
    refunds: RefundsTimeline | None
    silent: Mapping[str, Silence]
    limits: Limits = Limits()

    @property
    def timelines(self) -> dict[str, Timeline]:
        """Those of the services that answered, by their names."""
        named: dict[str, Timeline | None] = {
            "orders": self.orders,
            "returns": self.returns,
            "invoicing": self.invoicing,
            "refunds": self.refunds,
        }
        return {name: timeline for name, timeline in named.items() if timeline is not None}
