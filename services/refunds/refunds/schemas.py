"""Response bodies of refunds."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from common.edge.requests.fields import ExactNumber, Line, Lines, RequestBody
from common.jobs.attempts import Attempt
from common.money import quantize
from common.operators.timeline_results import Timeline
from pydantic import Field
from typing_extensions import TypedDict

from refunds.domain.book import Account, EntryKind
from refunds.domain.refund import RefundStatus
from refunds.domain.request import Cause, RefundRequest
from refunds.use_cases.queries import TriedRefund
from refunds.use_cases.requesting import NewRefund
from refunds.use_cases.trial_balance import TrialBalance


class Settlement(RequestBody):
    """How the customer was paid: the reference of the payment, such as that of a bank transfer, and why so."""

    reference: Line = Field(max_length=255)
    note: Lines = Field(max_length=1000)


class WebhookReceipt(TypedDict):
    received: bool


class RefundCreate(RequestBody):
    """`amount` is in the currency of the payment."""

    order_id: UUID
    payment_reference: Line = Field(max_length=255)
    # The type has a schema of its own, without the limits.
    amount: ExactNumber = Field(gt=0, lt=10**12, json_schema_extra={"exclusiveMinimum": 0, "exclusiveMaximum": 10**12})
    reason: Lines = Field(max_length=500)

    def to_domain(self) -> NewRefund:
        return NewRefund(self.order_id, self.payment_reference, self.amount, self.reason)


class RefundResponse(TypedDict):
    id: UUID
    cause: Cause
    order_id: UUID
    order_number: str
    return_id: UUID | None
    amount: ExactNumber
    currency: str
    payment_reference: str
    status: RefundStatus
    transaction_id: str | None
    error: str | None
    created_at: datetime
    completed_at: datetime | None
    settled_by_hand: bool
    attempts: list[Attempt]


class BookAccountResponse(TypedDict):
    """An account of all payments in a currency; `balance` is `debits` less `credits`."""

    currency: str
    account: Account
    debits: ExactNumber
    credits: ExactNumber
    balance: ExactNumber


class EntryResponse(TypedDict):
    """A move of the amount from `source` to `target`. Entries of one `subject`, such as a refund, move the same money.

    `transaction_id` is the provider's id of a refund; `causation_id` that of the event that caused the entry."""

    subject: str
    number: int
    kind: EntryKind
    source: Account
    target: Account
    amount: ExactNumber
    transaction_id: str | None
    actor: str
    causation_id: str | None
    created_at: datetime


class BookPaymentResponse(TypedDict):
    """A payment with its balances: what was captured, and where that money is. `excess` is what the provider paid back
    beyond it."""

    kind: EntryKind
    reference: str
    first_reference: str | None
    currency: str
    captured: ExactNumber
    refundable: ExactNumber
    in_flight: ExactNumber
    paid_back: ExactNumber
    paid_elsewhere: ExactNumber
    settled: ExactNumber
    disputed: ExactNumber
    lost: ExactNumber
    excess: ExactNumber
    entries: list[EntryResponse]


class BookResponse(TypedDict):
    """`is_zero`: of each currency, debits and credits are equal, and so are postings and balances. `payments` are those
    of the order that was asked for."""

    is_zero: bool
    accounts: list[BookAccountResponse]
    payments_in_excess: int
    disagreements: int
    payments: list[BookPaymentResponse]


class TimelineCall(TypedDict):
    """A call to the payment gateway. Without an answer it is under way, or was cut off."""

    kind: str
    attempt: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    answer: str | None


class TimelineRefund(TypedDict):
    """`last_answer` is what the gateway answered to the latest call, null while that is under way. `unreached_since`:
    since then, it has answered none of the calls."""

    id: UUID
    business_key: str
    cause: Cause
    return_id: UUID | None
    amount: ExactNumber
    currency: str
    payment_reference: str
    customer_email: str | None
    status: RefundStatus
    transaction_id: str | None
    error: str | None
    attempts: int
    created_at: datetime
    completed_at: datetime | None
    called_at: datetime | None
    last_answer: str | None
    settled_by_hand: bool
    unreached_since: datetime | None
    calls: list[TimelineCall]


class TimelinePayment(TypedDict):
    """A payment of the book; `excess` is what the provider paid back beyond it."""

    reference: str
    kind: EntryKind
    currency: str
    captured: ExactNumber
    excess: ExactNumber


class TimelineDispute(TypedDict):
    dispute_id: str
    payment_reference: str
    amount: ExactNumber
    currency: str
    status: str
    reason: str | None
    changed_at: datetime


class TimelineDisagreement(TypedDict):
    """What was reported of a payment and differs from the book."""

    reference: str
    kind: str
    booked: str
    reported: str
    created_at: datetime


class TimelineGateway(TypedDict):
    """Whether the payment gateway answers, by the latest calls of all workers about any refunds."""

    is_failing: bool
    failing_since: datetime | None
    error: str | None


class RefundsTimeline(Timeline):
    refunds: list[TimelineRefund]
    payments: list[TimelinePayment]
    disputes: list[TimelineDispute]
    disagreements: list[TimelineDisagreement]
    gateway: TimelineGateway


def book_response(book: TrialBalance) -> dict[str, object]:
    """The members of a `BookResponse`."""
    names, entry_names = BookPaymentResponse.__annotations__, EntryResponse.__annotations__
    payments = [
        {name: payment[name] for name in names if name != "entries"}
        | {"entries": [{name: entry[name] for name in entry_names} for entry in payment["entries"]]}
        for payment in book.payments
    ]
    accounts = [
        {name: _rounded(getattr(each, name), each.currency) for name in BookAccountResponse.__annotations__}
        for each in book.accounts
    ]
    return {
        "is_zero": book.is_zero,
        "accounts": accounts,
        "payments_in_excess": book.payments_in_excess,
        "disagreements": book.disagreements,
        "payments": payments,
    }


def _rounded(value: object, currency: str) -> object:
    return quantize(value, currency) if isinstance(value, Decimal) else value


def refund_response(tried: TriedRefund) -> dict[str, object]:
    """The members of a `RefundResponse`."""
    refund, request = tried.refund, tried.refund.request
    names = RefundResponse.__annotations__
    members = {name: getattr(request if name in RefundRequest.__slots__ else refund, name) for name in names}
    return members | {"attempts": tried.attempts}
