"""Paging of lists by limit and offset: the part that is asked for, the page, and the contract's `pagination`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from typing_extensions import TypedDict

Row = TypeVar("Row", covariant=True)


@dataclass(frozen=True, slots=True)
class Paging:
    """The part of a list that is asked for: at most `limit` rows, after the first `offset` rows."""

    limit: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of a list. `total` counts the rows of all pages."""

    rows: Sequence[Row]
    total: int


class Pagination(TypedDict):
    limit: int
    offset: int
    total: int
    has_more: bool


def pagination(page: Page[Any], paging: Paging) -> Pagination:
    """The `limit` of a page that ends early, because its rows are large, is the number of its rows: a client that adds
    to `offset` either the number of rows or this limit receives each row once (ADR 21)."""
    rows = len(page.rows)
    has_more = rows > 0 and paging.offset + rows < page.total
    return {
        "limit": rows if has_more else paging.limit,
        "offset": paging.offset,
        "total": page.total,
        "has_more": has_more,
    }


def list_document(page: Page[Row], paging: Paging, render: Callable[[Row], object]) -> dict[str, object]:
    """`{"data": […], "pagination": {…}}`."""
    return {"data": [render(row) for row in page.rows], "pagination": pagination(page, paging)}
