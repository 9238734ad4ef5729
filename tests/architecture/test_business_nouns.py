"""Common names no business object."""

from pathlib import Path

import pytest
from architecture.business_nouns import business_nouns
from architecture.source_files import ROOT, write_tree

# One model of access for all services (ADR 11): an API key may be bound to a customer, who then sees nothing of others.
CUSTOMER = {"customer"}
# The roles of the whole system, which one key has in every service; the database checks them.
ROLES = {"warehouse", "payments"}
ALLOWED = {
    "common/access/": CUSTOMER | ROLES,
    "common/aggregates/table.py": CUSTOMER,
    "common/operators/": CUSTOMER,
    "common/settings.py": CUSTOMER,
    "common/edge/": CUSTOMER,
    "common/database/tables/requests.py": CUSTOMER | ROLES,
    "common/database/migrations/": CUSTOMER | ROLES,
}


def test_common_names_no_business_object() -> None:
    assert business_nouns(ROOT / "libs/common", ALLOWED) == []


@pytest.mark.parametrize(
    "text",
    [
        "ORDERS = 1",
        "def ship(order_id): ...",
        "class OrderShipped: ...",
        "RETURN_NOT_ALLOWED = 409",
        '"""Why a return is rejected."""',
        'NAME = "warehouse"',
        'NAME = f"refund-{NAME}"',
        "x = 1  # an order of 600 bytes",
    ],
)
def test_a_business_noun_is_found(text: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"common/jobs.py": text + "\n"})
    assert len(business_nouns(tmp_path, {})) == 1
    assert business_nouns(tmp_path, {"common/": {"customer"}}) != []


def test_a_sequence_and_what_a_function_returns_are_no_business_nouns(tmp_path: Path) -> None:
    text = '''"""Returns the rows in the order of their keys; the order is that of `order_by`."""\nORDER BY = 1'''
    write_tree(tmp_path, {"common/jobs.py": text.replace("ORDER BY", "order")})
    assert business_nouns(tmp_path, {}) == []
