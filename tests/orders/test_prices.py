"""Prices of an order: exact, with tax per rate, in the decimals of each currency."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from common.money import minor_digits
from hypothesis import given
from hypothesis import strategies as st
from orders.domain.pricing import InvalidTotal, NewLine, PricedLines, price, taxes_on

CURRENCIES = ["EUR", "JPY", "KWD", "CLF"]


def a_line(quantity: int, unit_price: str | Decimal, tax_rate: str | Decimal = "0") -> NewLine:
    return NewLine(UUID(int=3), "Teacup", quantity, Decimal(unit_price), Decimal(tax_rate))


@st.composite
def lines_in(draw: st.DrawFn, currency: str) -> list[NewLine]:
    digits = minor_digits(currency)
    prices = st.integers(1, 10**6).map(lambda minor: Decimal(minor).scaleb(-digits))
    rates = st.integers(0, 10_000).map(lambda hundredths: Decimal(hundredths).scaleb(-2))
    few_rates = draw(st.lists(rates, min_size=1, max_size=3))
    line = st.builds(a_line, st.integers(1, 1000), prices, st.sampled_from(few_rates))
    return draw(st.lists(line, min_size=1, max_size=8))


@pytest.mark.parametrize("currency", CURRENCIES)
@given(data=st.data())
def test_totals_add_up_and_tax_is_rounded_once_per_rate(currency: str, data: st.DataObject) -> None:
    lines = data.draw(lines_in(currency))
    priced = price(lines, currency)
    assert [line.subtotal for line in priced.lines] == [line.quantity * line.unit_price for line in lines]
    nets: dict[Decimal, Fraction] = defaultdict(Fraction)
    for line in lines:
        nets[line.tax_rate] += Fraction(line.unit_price) * line.quantity
    taxes = taxes_on(priced.lines, currency)
    assert [tax.rate for tax in taxes] == sorted(nets)
    unit = Fraction(1, 10 ** minor_digits(currency))
    for tax in taxes:
        exact = nets[tax.rate] * Fraction(tax.rate) / 100
        assert Fraction(tax.net) == nets[tax.rate]
        assert -unit / 2 < Fraction(tax.tax) - exact <= unit / 2  # half-up
    assert priced.net_amount == sum(line.subtotal for line in priced.lines)
    assert priced.tax_amount == sum(tax.tax for tax in taxes)
    assert priced.total_amount == priced.net_amount + priced.tax_amount
    _has_only_decimals_of(priced, currency)


def _has_only_decimals_of(priced: PricedLines, currency: str) -> None:
    amounts = [priced.net_amount, priced.tax_amount, priced.total_amount]
    amounts += [amount for line in priced.lines for amount in (line.unit_price, line.subtotal)]
    for amount in amounts:
        assert type(amount) is Decimal
        assert amount.as_tuple().exponent == -minor_digits(currency)


def test_a_half_is_rounded_up() -> None:
    assert price([a_line(1, "0.50", "5")], "EUR").tax_amount == Decimal("0.03")


def test_tax_is_on_the_sum_of_a_rate_not_line_by_line() -> None:
    """Three times 0.03 at 19 % is 0.0171 on the sum, and three times 0.0057 line by line."""
    assert price([a_line(1, "0.03", "19")] * 3, "EUR").tax_amount == Decimal("0.02")


def test_twenty_and_twenty_point_zero_zero_are_one_rate() -> None:
    priced = price([a_line(1, "10.00", "20"), a_line(1, "10.00", "20.00")], "EUR")
    assert len(taxes_on(priced.lines, "EUR")) == 1


def test_ten_cents_and_twenty_cents_are_thirty() -> None:
    assert price([a_line(1, "0.1"), a_line(1, "0.2")], "EUR").total_amount == Decimal("0.30")


@pytest.mark.parametrize(
    ("currency", "unit_price", "tax", "total"),
    [
        ("JPY", "999", "100", "1099"),
        ("KWD", "1.005", "0.101", "1.106"),
        ("EUR", "999999999.99", "100000000.00", "1099999999.99"),
    ],
)
def test_each_currency_has_its_own_decimals(currency: str, unit_price: str, tax: str, total: str) -> None:
    priced = price([a_line(1, unit_price, "10")], currency)
    assert (str(priced.tax_amount), str(priced.total_amount)) == (tax, total)


@pytest.mark.parametrize("lines", [[], [a_line(5, "0.00")], [a_line(1_000_000, "1000000.00")]])
def test_an_order_total_is_above_zero_and_below_ten_to_the_twelfth(lines: list[NewLine]) -> None:
    with pytest.raises(InvalidTotal):
        price(lines, "EUR")


def test_the_highest_total_is_just_below_the_limit() -> None:
    highest = [a_line(1000, "999999999.99"), a_line(1, "9.99")]
    assert price(highest, "EUR").total_amount == Decimal("999999999999.99")
