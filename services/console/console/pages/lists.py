"""Lists over the services: one section for each service, or the pages of a single one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from console.pages.visit import Visit
from console.services.client import ApiError, ServiceClient

# Of a page of less than 100 kB, for rows of usual lengths.
_ROWS_OF_ALL = 80
_ROWS_OF_ONE = 50


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one service, or why there are none. `more` is the address of the next page."""

    service: str
    rows: Sequence[Any]
    total: int | None
    error: str | None
    more: str | None


async def sections(visit: Visit, path: str, most: int = _ROWS_OF_ALL, /, **parameters: object) -> list[Section]:
    """`GET path` of each service; with `?service=`, of that one, and then `?cursor=` leads further. `most` is the
    number of rows of the whole page."""
    chosen = visit.services.named(visit.query("service"))
    clients = visit.services.all if chosen is None else (chosen,)
    limit = most // len(clients) if chosen is None else min(most, _ROWS_OF_ONE)
    cursor = "" if chosen is None else visit.query("cursor")
    parts = await visit.parts(
        {client.name: client.get(path, limit=limit, cursor=cursor, **parameters) for client in clients}
    )
    found = []
    for name, part in parts.items():
        content = part.data or {"data": [], "pagination": {}}
        pagination = content["pagination"]
        more = next_page(visit, pagination.get("next_cursor"), service=name)
        found.append(Section(name, content["data"], pagination.get("total"), part.error, more))
    return found


def next_page(visit: Visit, cursor: str | None, **parameters: str) -> str | None:
    """The address of this page with the same conditions and this cursor."""
    if cursor is None:
        return None
    conditions = {name: value for name, value in visit.request.query_params.items() if value}
    return f"{visit.request.url.path}?{urlencode({**conditions, **parameters, 'cursor': cursor})}"


def service_of(visit: Visit) -> ServiceClient:
    """The service that the path names. Raises `ApiError` for another name."""
    return service_named(visit, visit.path("service"))


def service_named(visit: Visit, name: str) -> ServiceClient:
    """The client of the service with this name. Raises `ApiError` if there is none, or if the name is empty."""
    service = visit.services.named(name)
    if service is None:
        raise ApiError(name, 404, "NOT_FOUND", f"There is no service {name}.")
    return service


def new_key() -> str:
    """An idempotency key for a form: sent twice, it acts once."""
    return str(uuid4())
