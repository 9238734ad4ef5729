"""The snapshot: the frozen data that an invoice is rendered from, and the format of rates."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from common.money import minor_digits


class InconsistentOrder(ValueError):
    """The order's amounts do not add up, so there is no invoice: a wrong one would be worse."""


def display_rate(rate: Decimal) -> str:
    """`20 %`, `5.5 %`: a percentage without trailing zeros."""
    return f"{rate.normalize():f} %"


@dataclass(frozen=True, slots=True)
class Address:
    street: str
    city: str
    state: str
    zip: str
    country: str


@dataclass(frozen=True, slots=True)
class Seller:
    """Whose invoice it is; `id` names the numbering series and never changes, unlike the name."""

    id: str
    brand: str
    name: str
    address: Address
    vat_id: str
    email: str


@dataclass(frozen=True, slots=True)
class Buyer:
    customer_id: UUID
    name: str | None
    email: str | None
    vat_id: str | None
    address: Address


@dataclass(frozen=True, slots=True)
class Line:
    """`unit_price` and `subtotal` are net amounts; `tax_rate` is a percentage."""

    product_name: str
    quantity: int
    unit_price: Decimal
    tax_rate: Decimal
    subtotal: Decimal


@dataclass(frozen=True, slots=True)
class Tax:
    rate: Decimal
    net: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All data of the document, frozen when the invoice is opened: the same snapshot always gives the same bytes."""

    invoice_number: str
    invoice_date: date
    order_id: UUID
    order_number: str
    shipped_on: date
    payment_method: str | None
    payment_reference: str | None
    seller: Seller
    buyer: Buyer
    shipping_address: Address
    currency: str
    lines: tuple[Line, ...]
    taxes: tuple[Tax, ...]
    net_amount: Decimal
    tax_amount: Decimal
    total_amount: Decimal

    def require_consistency(self) -> None:
        """Raises `InconsistentOrder` when the amounts do not add up, `ValueError` for an unknown currency."""
        minor_digits(self.currency)
        sums = {
            "the lines": (sum(line.subtotal for line in self.lines), self.net_amount),
            "the net amounts per rate": (sum(tax.net for tax in self.taxes), self.net_amount),
            "the taxes": (sum(tax.tax for tax in self.taxes), self.tax_amount),
            "net and tax": (self.net_amount + self.tax_amount, self.total_amount),
        }
        for what, (computed_sum, stated_sum) in sums.items():
            if computed_sum != stated_sum:
                raise InconsistentOrder(f"{self.order_number}: {what} add up to {computed_sum}, not to {stated_sum}")
