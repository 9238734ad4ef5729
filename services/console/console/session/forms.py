"""Protection of forms against other sites: the token of the session in each form, and the Origin of the request."""

import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field
_MOST_FIELDS = 2000


class ForeignForm(Exception):
    """The form was not made by a page of this session. The message says what to do."""


def same_origin(request: Request, public_url: str | None) -> bool:
    """Browsers name the origin of every form that they send (Fetch, 3.2)."""
    own = public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
    parts = urlsplit(own)
    return request.headers.get("origin", "").lower() == f"{parts.scheme}://{parts.netloc}".lower()


def check(request: Request, fields: Mapping[str, str], token: str, public_url: str | None) -> None:
    """Raises `ForeignForm`."""
    if not same_origin(request, public_url):
        raise ForeignForm("The form was sent from another site, so nothing was done.")
    if not secrets.compare_digest(fields.get(TOKEN_FIELD, "").encode(), token.encode()):
        raise ForeignForm("The form belongs to a session that has ended, so nothing was done. Open the page again.")


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form; the last value of a field that is sent several times, and all values of `ids` joined by
    blanks. The size of the body is limited by the server. Raises `ValueError`."""
    body = (await request.body()).decode()
    fields: dict[str, str] = {}
    for name, value in parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS):
        text = value.replace("\r\n", "\n")
        fields[name] = f"{fields[name]} {text}" if name == "ids" and name in fields else text
    return fields


def local_path(text: str | None) -> str:
    """Where to go after the log-in: a path of the console, never another site; `/` for anything else."""
    if text is None or not text.startswith("/") or text.startswith(("//", "/\\")) or not text.isprintable():
        return "/"
    parts = urlsplit(text)
    return "/" if parts.scheme or parts.netloc or "\\" in text else text
