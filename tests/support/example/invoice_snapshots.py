"""The snapshot of Ada's order from which her invoice is rendered."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from common.money import quantize
from invoicing.domain.snapshot import Address, Buyer, Line, Snapshot, Tax
from support.example.ada import ADA, ADDRESS, EMAIL, NAME, ORDER_NUMBER, PAYMENT, TEACUPS, TOWEL, VAT_ID
from support.example.invoices import SELLER

HOME = Address(**ADDRESS)


def a_line(
    price: Decimal | str = "24.90", quantity: int = 2, rate: str = "19", name: str = TEACUPS["product_name"]
) -> Line:
    return Line(name, quantity, Decimal(price), Decimal(rate), Decimal(price) * quantity)


def a_snapshot(
    lines: Sequence[Line] = (a_line(), a_line("18.50", 1, "7", TOWEL["product_name"])), **changes: Any
) -> Snapshot:
    """A snapshot whose taxes and totals are calculated from its lines, unless `changes` has others."""
    currency = changes.get("currency", "EUR")
    nets = {rate: sum(line.subtotal for line in lines if line.tax_rate == rate) for rate in _rates(lines)}
    taxes = tuple(Tax(rate, Decimal(net), quantize(net * rate / 100, currency)) for rate, net in nets.items())
    net, tax = sum((each.net for each in taxes), Decimal(0)), sum((each.tax for each in taxes), Decimal(0))
    facts: dict[str, Any] = {
        "invoice_number": "INV-2026-000001",
        "invoice_date": date(2026, 11, 22),
        "order_id": UUID("00000000-0000-4000-8000-000000000042"),
        "order_number": ORDER_NUMBER,
        "shipped_on": date(2026, 11, 20),
        "payment_method": "card",
        "payment_reference": PAYMENT,
        "seller": SELLER,
        "buyer": Buyer(ADA, NAME, EMAIL, VAT_ID, HOME),
        "shipping_address": Address("Zum Ödberg 7", "Marburg", "Hessen", "35037", "DE"),
        "currency": currency,
        "lines": tuple(lines),
        "taxes": taxes,
        "net_amount": net,
        "tax_amount": tax,
        "total_amount": net + tax,
    }
    return Snapshot(**{**facts, **changes})


def _rates(lines: Sequence[Line]) -> list[Decimal]:
    return sorted({line.tax_rate for line in lines})
