"""Amounts as they are printed on an invoice."""

from dataclasses import replace
from decimal import Decimal

import pytest
from common.money import MINOR_DIGITS, fits, format_amount, quantize
from hypothesis import given
from hypothesis import strategies as st
from invoicing.domain.snapshot import InconsistentOrder, display_rate
from support.example.invoice_snapshots import a_line, a_snapshot

currencies = st.sampled_from(sorted(MINOR_DIGITS))
amounts = st.decimals(min_value=0, max_value=10**12, places=4)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1234.5", "EUR", "1,234.50"),
        ("1234567", "JPY", "1,234,567"),
        ("0.125", "KWD", "0.125"),
        ("999999999999.99", "USD", "999,999,999,999.99"),
        ("0", "EUR", "0.00"),
    ],
)
def test_an_amount_is_shown_grouped_with_all_decimals_of_its_currency(amount: str, currency: str, text: str) -> None:
    assert format_amount(Decimal(amount), currency) == text


@given(amounts, currencies)
def test_the_displayed_amount_equals_the_exact_amount(amount: Decimal, currency: str) -> None:
    exact = quantize(amount, currency)
    text = format_amount(exact, currency)
    assert Decimal(text.replace(",", "")) == exact
    assert len(text.partition(".")[2]) == MINOR_DIGITS[currency]


@pytest.mark.parametrize(("rate", "text"), [("20.00", "20 %"), ("5.50", "5.5 %"), ("0", "0 %"), ("100", "100 %")])
def test_a_tax_rate_is_shown_without_trailing_zeros(rate: str, text: str) -> None:
    assert display_rate(Decimal(rate)) == text


@given(st.decimals(min_value=0, max_value=100, places=2))
def test_a_rate_is_never_shown_in_scientific_notation(rate: Decimal) -> None:
    assert Decimal(display_rate(rate).removesuffix(" %")) == rate


prices = st.decimals(min_value=0, max_value=10**6, places=2)
lines = st.lists(st.tuples(prices, st.integers(1, 1000), st.sampled_from(["0", "5.5", "7", "19"])), min_size=1)


@given(lines)
def test_an_invoice_whose_lines_and_taxes_add_up_is_accepted(line_values: list[tuple[Decimal, int, str]]) -> None:
    snapshot = a_snapshot(lines=[a_line(price, quantity, rate) for price, quantity, rate in line_values])
    snapshot.require_consistency()
    assert fits(snapshot.total_amount, snapshot.currency)


@pytest.mark.parametrize("amount", ["net_amount", "tax_amount", "total_amount"])
def test_an_invoice_that_does_not_add_up_is_rejected(amount: str) -> None:
    snapshot = a_snapshot()
    wrong = replace(snapshot, **{amount: getattr(snapshot, amount) + Decimal("0.01")})
    with pytest.raises(InconsistentOrder, match="add up"):
        wrong.require_consistency()


def test_an_unknown_currency_is_rejected() -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        replace(a_snapshot(), currency="XYZ").require_consistency()
