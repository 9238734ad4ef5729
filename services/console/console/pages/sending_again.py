"""A form whose request got no answer: it is offered again with its idempotency key, so that it acts once."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.routing import Match

from console.session.forms import TOKEN_FIELD


@dataclass(frozen=True, slots=True)
class Again:
    """`fields` are those that were sent, with the key. `page` shows whether the change was made."""

    address: str
    fields: Mapping[str, str]
    page: str


def again(request: Request, fields: Mapping[str, str]) -> Again | None:
    """None for a request that was no form."""
    if request.method != "POST":
        return None
    sent = {name: value for name, value in fields.items() if name != TOKEN_FIELD}
    return Again(request.url.path, sent, _page_above(request))


def _page_above(request: Request) -> str:
    """The page of the form: the address of a POST is below that of its page."""
    parts = request.url.path.split("/")
    for length in range(len(parts) - 1, 1, -1):
        path = "/".join(parts[:length])
        scope = {**request.scope, "method": "GET", "path": path}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            return path
    return "/"
