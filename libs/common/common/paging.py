"""Paging of lists by offset and by cursor: the part that is asked for, the page, and the contract's `pagination`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from typing_extensions import TypedDict

Row = TypeVar("Row", covariant=True)

# The place of a row in a sorted list, independent of the rows before it: its sort value and its id, as texts.
Position: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Paging:
    """The part of a list that is asked for: at most `limit` rows.

    They follow the row at the position `after`; without one, the first `offset` rows. With one, `offset` is how many
    rows the earlier pages had.
    """

    limit: int
    offset: int = 0
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of a list. `total` counts the rows of all pages.

    `end` is the position of the last row; None where the list has no positions. `has_more` is None where it follows
    from the offset and the total.
    """

    rows: Sequence[Row]
    total: int
    end: Position | None = None
    has_more: bool | None = None


class Pagination(TypedDict):
    limit: int
    offset: int
    total: int
    has_more: bool
    next_cursor: str | None


def has_more(page: Page[Any], paging: Paging) -> bool:
    if page.has_more is not None:
        return page.has_more
    rows = len(page.rows)
    return rows > 0 and paging.offset + rows < page.total


def pagination(page: Page[Any], paging: Paging, next_cursor: str | None = None) -> Pagination:
    """The `limit` of a page that ends early, because its rows are large, is the number of its rows: a client that adds
    to `offset` either the number of rows or this limit receives each row once (ADR 21)."""
    more = has_more(page, paging)
    return {
        "limit": len(page.rows) if more else paging.limit,
        "offset": paging.offset,
        "total": page.total,
        "has_more": more,
        "next_cursor": next_cursor,
    }


def list_document(
    page: Page[Row], paging: Paging, render: Callable[[Row], object], next_cursor: str | None = None
) -> dict[str, object]:
    """`{"data": […], "pagination": {…}}`."""
    return {"data": [render(row) for row in page.rows], "pagination": pagination(page, paging, next_cursor)}
