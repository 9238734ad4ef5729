"""The port to a payment gateway: its calls, how they can fail, and what the provider tells us by itself (ADR 36)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, Self

from common.errors import PermanentFailure
from common.text.storable import storable

from refunds.domain.refund import Refund


class GatewayRefundStatus(StrEnum):
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class DisputeStatus(StrEnum):
    OPENED = "OPENED"
    WON = "WON"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class RefundCall:
    """What is sent for a refund, and by what it is looked up. The amount is in major units."""

    reference: str
    idempotency_key: str
    payment_reference: str
    amount: Decimal
    currency: str
    order_number: str

    @classmethod
    def of(cls, refund: Refund) -> Self:
        request = refund.request
        return cls(
            reference=refund.reference,
            idempotency_key=refund.idempotency_key,
            payment_reference=request.payment_reference,
            amount=request.amount,
            currency=request.currency,
            order_number=request.order_number,
        )


@dataclass(frozen=True, slots=True)
class GatewayRefund:
    """A refund at the provider. `reference` is ours; None for a refund that was not requested by us, such as one made
    by hand in the provider's dashboard. `payment_alias` is another id of the payment, where the provider has two."""

    id: str
    status: GatewayRefundStatus
    reference: str | None
    payment_reference: str
    amount: Decimal
    currency: str
    reason: str | None
    created_at: datetime
    payment_alias: str | None = None

    @property
    def failure(self) -> str:
        """Why a refund that has failed is not made."""
        return storable(f"refund {self.id} has failed at the provider: {self.reason or 'no reason given'}")


@dataclass(frozen=True, slots=True)
class RefundChanged:
    """A refund was made, or its status changed; the order of such events is not guaranteed."""

    refund: GatewayRefund


@dataclass(frozen=True, slots=True)
class PaymentDisputed:
    """The customer's bank reclaims a payment (a chargeback), or has decided about it."""

    dispute_id: str
    payment_reference: str
    amount: Decimal
    currency: str
    status: DisputeStatus
    reason: str | None
    payment_alias: str | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event of a type that we need, with content that we cannot read. People have to look at it."""

    error: str


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """An event of the provider; `id` is the provider's, and the same each time that the event is sent."""

    id: str
    kind: RefundChanged | PaymentDisputed | Unreadable
    created_at: datetime


class GatewayFailure(Exception):
    """A call to the payment gateway did not make a refund.

    `answer_is_kept`: the gateway may repeat this answer for the same idempotency key, for ever. `is_outage`: the
    gateway did not answer about this refund, so the failure says nothing about it, and is no attempt. `retry_after` is
    the number of seconds that the gateway asks to wait.
    """

    answer_is_kept = False
    is_outage = False
    retry_after: float | None = None


class GatewayUnavailable(GatewayFailure):
    """Certainly nothing happened: the call did not arrive, or was rejected unread. A later one may succeed."""

    is_outage = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutcomeUnknown(GatewayFailure):
    """No answer, or none that can be read. The refund may or may not have been made: look it up before it is requested
    again."""

    is_outage = True


class GatewayError(OutcomeUnknown):
    """The gateway answered this call with an error that is no decline: an internal one (500), or a 4xx such as 415.
    Whether it made the refund is unknown, and the attempt has failed."""

    is_outage = False

    def __init__(self, message: str, *, answer_is_kept: bool = True) -> None:
        super().__init__(message)
        self.answer_is_kept = answer_is_kept


class Declined(GatewayFailure, PermanentFailure):
    """The gateway declines the refund permanently, with the reason as the message."""

    answer_is_kept = True


class ForgedWebhook(Exception):
    """A webhook whose signature is missing, wrong or too old: not sent by the provider, or not now."""


class PaymentGateway(Protocol):
    """Its calls may take seconds, and raise `GatewayFailure`.

    `key_lifetime` is how long the provider keeps an idempotency key; None where it has no such keys: there, a call is
    repeated only once the refund is certainly absent. `lookup_lag` is how long a new refund may be missing from the
    provider's lists: an absence is certain only when the look-up began later than that after the last call ended.
    """

    @property
    def name(self) -> str: ...
    @property
    def key_lifetime(self) -> timedelta | None: ...
    @property
    def lookup_lag(self) -> timedelta: ...

    async def refund(self, call: RefundCall) -> GatewayRefund:
        """Make the refund, once per `call.idempotency_key`."""
        ...

    async def find(self, call: RefundCall) -> GatewayRefund | None:
        """The latest refund of the payment that carries `call.reference`, whenever it was requested; one that pays
        back, if there is one. None if the provider lists none."""
        ...

    async def refunds_of(self, payment_reference: str) -> list[GatewayRefund]:
        """All refunds of the payment, including those made by hand in the provider's dashboard."""
        ...

    async def events_since(self, cursor: str | None) -> tuple[list[GatewayEvent], str | None]:
        """The events after the cursor, oldest first, and the next cursor. Some may be repeated. Without a cursor,
        those of the last days."""
        ...

    def refunds_since(self, since: datetime) -> AsyncIterator[GatewayRefund]:
        """All refunds that were made at the provider since then."""
        ...

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> GatewayEvent | None:
        """The event of a webhook; None for a type that we do not need. The names of the headers are in lower case.
        Raises `ForgedWebhook`."""
        ...
