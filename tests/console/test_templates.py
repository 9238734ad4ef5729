"""What the templates show of the numbers and times of the APIs."""

from decimal import Decimal

import pytest
from console.pages.templates import duration, order_id


@pytest.mark.parametrize("read_as", [float, Decimal], ids=["float", "decimal"])
@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        ("0.0474", "47 ms"),
        ("2.34", "2.3 s"),
        ("59", "59 s"),
        ("61.5", "1 min"),
        ("7300", "2 h"),
        ("864000", "10 days"),
    ],
)
def test_a_duration_is_shown_in_its_largest_unit(
    read_as: type[float] | type[Decimal], seconds: str, shown: str
) -> None:
    assert duration(read_as(seconds)) == shown


ORDER = "8f14e45f-ceea-467f-a0e6-5f2d3a1b2c3d"


@pytest.mark.parametrize(
    ("key", "order"),
    [(ORDER, ORDER), (f"cancellation:{ORDER}", ORDER), (f"return:{ORDER}", None), ("somebody", None), (None, None)],
)
def test_a_key_leads_to_the_order_that_it_names(key: str | None, order: str | None) -> None:
    assert order_id(key) == order
