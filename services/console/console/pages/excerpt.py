"""A part of a long list, for a page that must not become large."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`before` and `after` are the numbers of the rows that are not shown. The excerpts beside it end with the rows
    `before` and `later`."""

    rows: Sequence[Any]
    before: int
    after: int
    length: int

    @property
    def later(self) -> int:
        return self.before + len(self.rows) + min(self.length, self.after)


def excerpt(rows: Sequence[Any], length: int, last: str = "") -> Excerpt:
    """At most `length` rows, the last of which has the number `last`; by default it is the last of all."""
    end = len(rows)
    if last.isdecimal() and last.isascii() and len(last) < 10:
        end = min(int(last), end)
    before = max(0, end - length)
    return Excerpt(rows[before:end], before, len(rows) - end, length)
