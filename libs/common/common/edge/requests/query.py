"""Query parameters: paging, times and numbers, and the refusal of unknown and repeated ones (ADR 24)."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from common.edge.problems.problem_responses import invalid_request, problem_response
from common.edge.requests.cursor import LONGEST_CURSOR, Cursors
from common.errors import Problem
from common.paging import Paging

LARGEST_PAGE = 100
# The largest value of PostgreSQL's integer.
_MAXIMUM_OFFSET = 2**31 - 1
_LONGEST_NAME = 100

# A date, optionally with a time after `T` or a blank. Python accepts any character between the two: it parses the day
# with an offset `2026-11-22-10:00` as ten o'clock.
_ISO_8601 = re.compile(r"[0-9W-]{7,10}([Tt ].*)?", re.ASCII)


def _instant(value: object) -> object:
    """A number is refused: pydantic would take it for seconds, or for milliseconds if it is large."""
    try:
        if not isinstance(value, str) or _ISO_8601.fullmatch(value) is None:
            raise ValueError
        moment = datetime.fromisoformat(value)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be an ISO 8601 time, such as 2026-11-22T10:00:00Z") from None


# Without an offset it is in UTC.
Instant = Annotated[datetime, BeforeValidator(_instant, json_schema_input_type=datetime)]


def _in_digits(value: object) -> object:
    if isinstance(value, str) and _DIGITS.fullmatch(value) is None:
        raise ValueError("must be a whole number in digits, such as 20")
    return value


# Whole numbers in an address. Pydantic accepts Python's notation too: `1_0` and `+10` are 10.
_DIGITS = re.compile(r"-?[0-9]+(\.0+)?")
InDigits = BeforeValidator(_in_digits)

_Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="The most entries of the page."), InDigits]
_Offset = Annotated[
    int, Query(ge=0, le=_MAXIMUM_OFFSET, description="The number of entries to skip, of the newest."), InDigits
]
_Cursor = Annotated[
    str | None,
    Query(
        max_length=LONGEST_CURSOR,
        description="`pagination.next_cursor` of the page before, with the same filters and sort; without `offset`.",
    ),
]


def _paging(request: Request, limit: _Limit = 20, offset: _Offset = 0, cursor: _Cursor = None) -> Paging:
    if not cursor:
        return Paging(limit, offset)
    if offset:
        raise Problem.invalid("offset", "must not be given together with a cursor")
    return Paging(limit, *Cursors(request).parse(cursor))


def _largest_page(
    request: Request, limit: _Limit = LARGEST_PAGE, offset: _Offset = 0, cursor: _Cursor = None
) -> Paging:
    return _paging(request, limit, offset, cursor)


# Parameters of an endpoint: `limit`, and `offset` or `cursor`, with a default limit of 20 or of 100 rows.
PageQuery = Annotated[Paging, Depends(_paging)]
LargePageQuery = Annotated[Paging, Depends(_largest_page)]


def comma_separated(values: type[StrEnum]) -> BeforeValidator:
    """Several values of an enumeration in one parameter: `status=OPEN,CLOSED`. A repeated parameter is refused, as any
    other is."""

    def parse(given: object) -> object:
        if not isinstance(given, list | tuple):
            return given
        texts = ",".join(map(str, given)).split(",")
        if not set(texts).issubset(values):
            raise ValueError(f"must be one or more of {', '.join(values)}, separated by commas")
        return tuple(map(values, dict.fromkeys(texts)))

    return BeforeValidator(parse)


def _amount(value: object) -> object:
    """A JSON number, also with an exponent: generated clients write a small one as `1e-07`."""
    if isinstance(value, str) and (_NUMBER.fullmatch(value) is None or Decimal(value) >= _ABOVE_ANY_AMOUNT):
        raise ValueError("must be a number from 0 to below 10^15, such as 20 or 19.90")
    return value


# Bounded: PostgreSQL calculates with every digit. A 64-bit number has at most 17 digits and an exponent from -324.
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
_ABOVE_ANY_AMOUNT = 10**15
AmountQuery = Annotated[
    Decimal,
    BeforeValidator(_amount),
    WithJsonSchema({"type": "number", "minimum": 0, "exclusiveMaximum": _ABOVE_ANY_AMOUNT}),
]
# The exact value of a column.
TextQuery = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_SHORTEST_SEARCH = 2
_MOST_WORDS = 8


def _searchable(text: str) -> str:
    words = text.split()
    if len("".join(words)) < _SHORTEST_SEARCH or len(words) > _MOST_WORDS:
        raise ValueError(f"must have at least {_SHORTEST_SEARCH} characters and at most {_MOST_WORDS} words")
    return " ".join(words)


SearchQuery = Annotated[str, StringConstraints(max_length=255), AfterValidator(_searchable)]


@dataclass(frozen=True, slots=True)
class Created:
    """A time of creation, both ends included; None is no limit."""

    earliest: datetime | None
    latest: datetime | None


def _created(
    created_from: Annotated[Instant | None, Query(description="Created at this time or later.")] = None,
    created_to: Annotated[Instant | None, Query(description="Created at this time or before.")] = None,
) -> Created:
    return Created(created_from, created_to)


CreatedQuery = Annotated[Created, Depends(_created)]


def query_problems(request: Request, declared: frozenset[str]) -> list[dict[str, Any]]:
    """In the form of pydantic's errors; each declared parameter takes one value."""
    if not request.scope["query_string"]:
        return []
    counts = Counter(name for name, _ in request.query_params.multi_items())
    unknown_names = [
        _problem(name, "is not a query parameter of this route") for name in counts if name not in declared
    ]
    repeated_names = [_problem(name, "must be given once") for name in declared if counts[name] > 1]
    return unknown_names + repeated_names


def _problem(name: str, issue: str) -> dict[str, Any]:
    return {"type": "query", "loc": ("query", name[:_LONGEST_NAME]), "msg": issue, "input": None}


class WithoutQuery:
    """ASGI application: `app`, where every query parameter is a problem (422)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["query_string"]:
            request = Request(scope, receive)
            problems = query_problems(request, frozenset())
            if problems:
                await problem_response(request, invalid_request(problems))(scope, receive, send)
                return
        await self._app(scope, receive, send)
