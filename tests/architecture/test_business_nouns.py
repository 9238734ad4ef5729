"""Common names no business object."""

from pathlib import Path

import pytest
from architecture.business_nouns import business_nouns
from architecture.source_files import write_tree

ALLOWED = {
    # An API key may be bound to one customer: access to objects of others is refused in one place. Keys, and so their
    # roles, are common to all services (ADR 11).
    "common/access/": {"customer", "warehouse", "payments"},
    "common/operators/": {"customer"},
    "common/edge/": {"customer"},
    "common/database/tables": {"customer"},
    "common/database/migrations/": {"customer", "warehouse", "payments"},
}


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
