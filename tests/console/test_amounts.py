"""Amounts of money on the pages."""

import re
from decimal import Decimal

import pytest
from console.pages.money import money
from support.project.documents import ROOT

CONSOLE = ROOT / "services" / "console" / "console"


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("12.5", "USD", "12.50 USD"),
        ("1999", "JPY", "1,999 JPY"),
        ("12.345", "KWD", "12.345 KWD"),
        ("999999999999.99", "USD", "999,999,999,999.99 USD"),
        ("-0.5", "EUR", "-0.50 EUR"),
        ("12.5", "XXX", "12.5 XXX"),
    ],
)
def test_an_amount_is_shown_with_the_decimals_of_its_currency(amount: str, currency: str, shown: str) -> None:
    assert money(Decimal(amount), currency) == shown


def test_no_page_chooses_the_decimals_of_an_amount_itself() -> None:
    files = [*(CONSOLE / "templates").glob("*.html"), *(CONSOLE / "pages").glob("*.py")]
    assert [file.name for file in files if re.search(r"%\.2f|:\.2f", file.read_text())] == []


def test_every_amount_of_a_template_has_its_currency() -> None:
    named = r"\w+\.(?:\w*amount|unit_price|subtotal|debits|credits|balance)"
    amount = re.compile(rf"\{{\{{ {named} (?!\| (?:amount|money)\()[^}}]*\}}\}}")
    texts = {file.name: file.read_text() for file in (CONSOLE / "templates").glob("*.html")}
    assert {name: amount.findall(text) for name, text in texts.items() if amount.search(text)} == {}
