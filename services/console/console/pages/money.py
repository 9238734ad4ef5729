"""Amounts of money as text, with the decimals of their currency."""

from decimal import Decimal

from common.money import MINOR_DIGITS, format_amount


def amount_text(amount: Decimal | int, currency: str) -> str:
    """`1,234.50`. In a currency that is not known here, the decimals that the API sent."""
    exact = Decimal(amount)
    return format_amount(exact, currency) if currency in MINOR_DIGITS else f"{exact:,f}"


def money(amount: Decimal | int, currency: str) -> str:
    """`1,234.50 EUR`."""
    return f"{amount_text(amount, currency)} {currency}"
