"""A requested order, with its addresses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from orders.domain.pricing import NewLine


@dataclass(frozen=True, slots=True)
class Address:
    street: str
    city: str
    state: str
    zip: str
    country: str


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A requested order."""

    customer_id: UUID
    customer_email: str | None
    customer_name: str | None
    buyer_vat_id: str | None
    currency: str
    lines: tuple[NewLine, ...]
    payment_method: str
    shipping_address: Address
    billing_address: Address
    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
