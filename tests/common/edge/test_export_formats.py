"""Texts in CSV are no formulas, whether the reader ends a cell at a comma or at a semicolon."""

import csv
import io
from itertools import chain

import pytest
from common.edge.commands.export_formats import Csv


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "Ada;=1+1",
        '"=1+1',
        'Ada;"=HYPERLINK(A1);',
        'x\n"=1+1;',
        'x\r\n\t"=1+1;',
        "x\r\n=1+1",
        "x;\n\n =1+1",
        'x;\u200b"\u200b"@x',
        'x;" "+1;"-1',
        'x";"=1+1',
    ],
)
def test_no_cell_is_a_formula_also_after_a_quotation_mark(text: str, delimiter: str) -> None:
    rows = [({"id": "u", "text": text, "again": text}, "cursor")]
    written = Csv(("text", "id", "again"), is_resumed=True).encode(rows).decode()
    cells = chain.from_iterable(csv.reader(io.StringIO(written, newline=""), delimiter=delimiter))
    assert [cell for cell in cells if cell.strip(' \t\r\n\u200b"').startswith(("=", "+", "-", "@"))] == []


def test_a_quotation_mark_without_a_formula_is_unchanged() -> None:
    text = 'Ada; "the glazier"; a"=b; 5"'
    [[_, written, _]] = csv.reader(
        io.StringIO(Csv(("id", "text"), is_resumed=True).encode([({"id": "u", "text": text}, "cursor")]).decode())
    )
    assert written == text
