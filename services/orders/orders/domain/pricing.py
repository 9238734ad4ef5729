"""The price of an order: lines, tax per rate, totals, all exact to the currency's decimals."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID, uuid4

from common.money import quantize

# Amounts are stored with 15 digits before the decimal point; the limit of a total is far below.
TOTAL_LIMIT = Decimal(10) ** 12


class InvalidTotal(ValueError):
    """The total of the lines is zero, or too large."""


@dataclass(frozen=True, slots=True)
class NewLine:
    """A requested line; `tax_rate` is in percent."""

    product_id: UUID
    product_name: str
    quantity: int
    unit_price: Decimal
    tax_rate: Decimal


@dataclass(frozen=True, slots=True)
class OrderLine:
    """`subtotal` is the quantity at the unit price, without tax."""

    id: UUID
    product_id: UUID
    product_name: str
    quantity: int
    unit_price: Decimal
    tax_rate: Decimal
    subtotal: Decimal


@dataclass(frozen=True, slots=True)
class Tax:
    """The tax of one rate, rounded once on the sum of its lines, not per line."""

    rate: Decimal
    net: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class PricedLines:
    """Lines with their prices; `total_amount` is the sum of net and tax."""

    lines: tuple[OrderLine, ...]
    net_amount: Decimal
    tax_amount: Decimal
    total_amount: Decimal


def price(lines: Iterable[NewLine], currency: str) -> PricedLines:
    """Raises `InvalidTotal` unless the total is above 0 and below `TOTAL_LIMIT`."""
    order_lines = tuple(_price_line(line, currency) for line in lines)
    taxes = taxes_on(order_lines, currency)
    net, tax = sum(each.net for each in taxes), sum(each.tax for each in taxes)
    if not 0 < net + tax < TOTAL_LIMIT:
        raise InvalidTotal(f"the total must be above 0 and below {TOTAL_LIMIT}")
    return PricedLines(order_lines, Decimal(net), Decimal(tax), Decimal(net + tax))


def taxes_on(lines: Iterable[OrderLine], currency: str) -> tuple[Tax, ...]:
    """One per rate, lowest first; rounded half-up to the currency's decimals."""
    nets: dict[Decimal, Decimal] = {}
    for line in lines:
        nets[line.tax_rate] = nets.get(line.tax_rate, Decimal(0)) + line.subtotal
    return tuple(Tax(rate, net, quantize(net * rate / 100, currency)) for rate, net in sorted(nets.items()))


def _price_line(line: NewLine, currency: str) -> OrderLine:
    return OrderLine(
        id=uuid4(),
        product_id=line.product_id,
        product_name=line.product_name,
        quantity=line.quantity,
        unit_price=quantize(line.unit_price, currency),
        tax_rate=line.tax_rate,
        subtotal=quantize(line.quantity * line.unit_price, currency),
    )
