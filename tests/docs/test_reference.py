"""The reference pages agree with the code."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from common.errors import CODES_OF_EVERY_SERVICE
from common.messaging.envelope import event_headers
from generators.reference import PAGES, TABLES, filled, settings, table_names
from local_stack.services import SERVICES
from refunds.use_cases.requesting import REFUND_NOT_ALLOWED
from returns.use_cases.opening import RETURN_NOT_ALLOWED
from support.project.documents import ROOT

EVENT = {
    "id": "1",
    "type": "order.paid",
    "aggregateid": "1",
    "key": "1",
    "sequence": 2,
    "epoch": 1,
    "created_at": datetime.now(UTC),
    "traceparent": "",
    "causation_id": "1",
    "headers": None,
}


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    _, heading_line, below = (ROOT / "docs" / "reference" / page).read_text().partition(f"\n## {heading}\n")
    assert heading_line, f"{page} has no heading {heading}"
    table = re.search(r"(?:^\|.*\|\n)+", below, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()[2:]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_equal_what_the_code_generates(page: Path) -> None:
    """If this fails: run `make reference` and review the difference."""
    assert page.read_text() == filled(page.read_text())


def test_every_table_is_on_a_page() -> None:
    assert sorted(name for page in PAGES for name in table_names(page.read_text())) == sorted(TABLES)


@pytest.mark.parametrize(
    ("heading", "name"), [("Every service", "common"), *((name, name) for name in (*SERVICES, "origin", "console"))]
)
def test_every_setting_is_documented_with_its_default(heading: str, name: str) -> None:
    assert [(variable.strip("`"), default) for variable, default, _ in rows("settings.md", heading)] == list(
        settings(name)
    )


def test_every_error_code_is_documented_with_its_status() -> None:
    documented = {(int(status), code.strip("`")) for status, code, *_ in rows("errors.md", "Codes")}
    codes = (*CODES_OF_EVERY_SERVICE, REFUND_NOT_ALLOWED, RETURN_NOT_ALLOWED)
    assert documented == {(code.status, code.wire_name) for code in codes}


def test_every_header_of_an_event_is_documented() -> None:
    documented = [name.strip("`") for name, _ in rows("events.md", "Headers")]
    assert sorted(documented) == sorted(name for name, _ in event_headers("orders", EVENT))
