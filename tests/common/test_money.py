"""Money is exact in every currency, rounds half-up, and rejects values that would lose a digit."""

from decimal import Decimal

import pytest
from common.money import MINOR_DIGITS, fits, minor_digits, quantize, to_minor_units
from hypothesis import given
from hypothesis import strategies as st

currencies = st.sampled_from(sorted(MINOR_DIGITS))
amounts = st.decimals(min_value=0, max_value=10**12, places=6, allow_nan=False)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [("2.345", "EUR", "2.35"), ("2.344999", "EUR", "2.34"), ("0.5", "JPY", "1"), ("1.0005", "KWD", "1.001")],
)
def test_halves_are_rounded_up(amount: str, currency: str, rounded: str) -> None:
    assert str(quantize(Decimal(amount), currency)) == rounded


@given(amounts, currencies)
def test_rounding_moves_an_amount_by_at_most_half_of_the_smallest_coin(amount: Decimal, currency: str) -> None:
    assert abs(quantize(amount, currency) - amount) <= Decimal(5).scaleb(-minor_digits(currency) - 1)


@given(st.integers(0, 10**16), currencies)
def test_minor_units_and_back_is_the_same_amount(units: int, currency: str) -> None:
    amount = Decimal(units).scaleb(-minor_digits(currency))
    assert fits(amount, currency)
    assert to_minor_units(amount, currency) == units


def test_an_amount_with_too_many_decimals_has_no_minor_units() -> None:
    with pytest.raises(ValueError, match="more decimals than JPY"):
        to_minor_units(Decimal("12.5"), "JPY")


@pytest.mark.parametrize("code", ["", "eur", "EURO", "XXX", "DEM"])
def test_a_code_that_is_no_active_currency_is_rejected(code: str) -> None:
    with pytest.raises(ValueError, match="not an ISO 4217 currency"):
        minor_digits(code)
