"""Money is exact in every currency, rounds half-up, and rejects values that would lose a digit."""

from decimal import Decimal

import pytest
from common.money import MINOR_DIGITS, fits, minor_digits, quantize
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
def test_a_number_of_minor_units_fits_its_currency_and_a_tenth_of_one_does_not(units: int, currency: str) -> None:
    assert fits(Decimal(units).scaleb(-minor_digits(currency)), currency)
    assert not fits(Decimal("0.1").scaleb(-minor_digits(currency)), currency)


@pytest.mark.parametrize("code", ["", "eur", "EURO", "XXX", "DEM"])
def test_a_code_that_is_no_active_currency_is_rejected(code: str) -> None:
    with pytest.raises(ValueError, match="not an ISO 4217 currency"):
        minor_digits(code)
