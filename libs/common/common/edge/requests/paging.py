"""Query parameters and answers of lists."""

from typing import Annotated, Any

from fastapi import Depends, Query
from typing_extensions import TypedDict

from common.edge.requests.fields import InDigits
from common.paging import Pagination, Paging

LARGEST_PAGE = 100
# The largest value of PostgreSQL's integer.
_MAXIMUM_OFFSET = 2**31 - 1

_Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE), InDigits]
_Offset = Annotated[int, Query(ge=0, le=_MAXIMUM_OFFSET), InDigits]


def _paging(limit: _Limit = 20, offset: _Offset = 0) -> Paging:
    return Paging(limit, offset)


def _largest_page(limit: _Limit = LARGEST_PAGE, offset: _Offset = 0) -> Paging:
    return Paging(limit, offset)


# Parameters of an endpoint: `limit` and `offset` of the query, with a default limit of 20 or of 100 rows.
PageQuery = Annotated[Paging, Depends(_paging)]
LargePageQuery = Annotated[Paging, Depends(_largest_page)]


def list_of(row: type[Any]) -> type[Any]:
    """The type of a list's answer, for the OpenAPI document: of `OrderResponse` it is `OrderListResponse`."""
    name = row.__name__.removesuffix("Response").removesuffix("Summary")
    new_type: Any = TypedDict  # mypy knows types with literal names only
    document: type[Any] = new_type(f"{name}ListResponse", {"data": list[row], "pagination": Pagination})  # type: ignore[valid-type]
    return document
