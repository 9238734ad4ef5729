"""The interface of a dialect: the routes of a provider, the format of its events, and the signature of its webhooks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sandbox.payments.refund import Refund


@dataclass(frozen=True)
class Dispute:
    id: str
    payment: str
    amount: int
    currency: str
    reason: str
    status: str
    """`opened`, `won` or `lost`"""
    created: float


@dataclass(frozen=True)
class Event:
    """An event; `document` is the event in the provider's format."""

    id: str
    type: str
    payment: str
    created: float
    document: dict[str, Any]


@dataclass(frozen=True)
class Webhook:
    headers: Mapping[str, str]
    body: bytes


class Dialect(Protocol):
    def refund_made(self, refund: Refund) -> list[Event]: ...

    def refund_changed(self, refund: Refund, previous_status: str) -> list[Event]: ...

    def dispute_changed(self, dispute: Dispute) -> list[Event]: ...

    def forged(self, document: dict[str, Any]) -> dict[str, Any]:
        """A copy of the event that says that the refund has failed, for a webhook with a forged signature."""
        ...

    def webhook(self, document: dict[str, Any], secret: str) -> Webhook:
        """The signed request. Raises ValueError for a secret that cannot be used."""
        ...
