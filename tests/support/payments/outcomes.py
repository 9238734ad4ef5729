"""The outcomes of refunds, and how they are written as the tables of `docs/reference/refund-outcomes.md`."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

from support.project.documents import ROOT

PAGE = ROOT / "docs" / "reference" / "refund-outcomes.md"


@dataclass(frozen=True)
class Outcome:
    """The outcome of one refund; each field is a column of the table."""

    state: str
    """The refund's final state."""
    effective: int
    """The number of refunds of the payment that have succeeded at the provider."""
    calls: str
    """The requests, each with its outcome at the provider, and the look-ups, in sequence."""
    mails: str
    postings: str
    """The kinds of entries in the book, after the capture."""


def collapsed(calls: Sequence[str]) -> str:
    """`request (lost), look-up, request (applied)`: look-ups in a row count as one."""
    return ", ".join(call for call, _ in itertools.groupby(calls)) or "-"


def as_table(outcomes: Sequence[tuple[str, Outcome]]) -> str:
    head = ["the provider …", "state", "effective refunds", "calls", "mails", "postings"]
    rows = [[name, *(str(getattr(outcome, each.name)) for each in fields(outcome))] for name, outcome in outcomes]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def committed_table(dialect: str) -> str:
    found = _place(dialect).search(PAGE.read_text())
    assert found is not None, f"{PAGE.name} has no table of {dialect}"
    return found[2].strip()


def commit_table(dialect: str, table: str) -> None:
    PAGE.write_text(_place(dialect).sub(lambda found: f"{found[1]}\n{table}\n\n{found[3]}", PAGE.read_text()))


def _place(dialect: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- outcomes: {dialect} -->\n)(.*?)(<!-- end -->)", re.DOTALL)
