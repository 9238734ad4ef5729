"""The format of invoice numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoicing.domain.numbering import invoice_number

years = st.integers(2000, 2200)
positions = st.integers(1, 10**9)


def test_the_first_invoice_of_a_year_is_number_one() -> None:
    assert invoice_number(2026, 1) == "INV-2026-000001"


def test_a_series_continues_beyond_six_digits() -> None:
    assert invoice_number(2026, 1_000_000) == "INV-2026-1000000"


def test_there_is_no_number_zero() -> None:
    with pytest.raises(ValueError, match="begins with 1"):
        invoice_number(2026, 0)


@given(years, positions)
def test_a_number_contains_its_year_and_its_position(year: int, position: int) -> None:
    series, of_year, digits = invoice_number(year, position).split("-")
    assert (series, int(of_year), int(digits)) == ("INV", year, position)
    assert len(digits) >= 6


@given(years, positions, positions)
def test_two_positions_never_share_a_number(year: int, one: int, other: int) -> None:
    assert (invoice_number(year, one) == invoice_number(year, other)) == (one == other)
