"""Signed cursors of lists: where the next page begins, valid for the same list, filters, sort and caller (ADR 27)."""

import base64
import binascii
import hashlib
import hmac
from functools import lru_cache
from typing import Annotated
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request

from common.access.auth import Caller
from common.errors import Problem
from common.paging import Page, Paging, Position, has_more
from common.service import Runtime

LONGEST_CURSOR = 500
_SIGNATURE_BYTES = 16
# They change how much of a row or of the list is returned, not which rows are in it or their order.
_NOT_BOUND = frozenset({"limit", "offset", "cursor", "fields", "format"})
_encode = msgspec.msgpack.Encoder().encode


class _Content(msgspec.Struct, array_like=True):
    """`offset` counts the rows of the earlier pages. Lists without positions have only that."""

    offset: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    after: Position | None


_decode = msgspec.msgpack.Decoder(_Content).decode


class Cursors:
    """The cursors of the list that a request asks for."""

    def __init__(self, request: Request) -> None:
        secret = Runtime.of(request).settings.link_signing_key.get_secret_value()
        self._signing = hmac.new(_signing_key(secret), digestmod=hashlib.sha256)
        self._signing.update(_binding(request))

    def issue(self, offset: int, after: Position | None) -> str:
        content = _encode(_Content(offset, after))
        return base64.urlsafe_b64encode(self._signature(content) + content).rstrip(b"=").decode()

    def parse(self, cursor: str) -> tuple[int, Position | None]:
        """The offset of the page, and the position after which it begins. Raises `Problem` 422 for a text that is no
        cursor of this list."""
        try:
            data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            signature, content = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
            if not hmac.compare_digest(signature, self._signature(content)):
                raise _wrong_cursor()
            decoded = _decode(content)
        except (ValueError, binascii.Error, msgspec.MsgspecError):
            raise _wrong_cursor() from None
        return decoded.offset, decoded.after

    def next_of(self, page: Page[object], paging: Paging) -> str | None:
        """None at the end of the list."""
        if not has_more(page, paging):
            return None
        return self.issue(paging.offset + len(page.rows), page.end)

    def _signature(self, content: bytes) -> bytes:
        signing = self._signing.copy()
        signing.update(content)
        return signing.digest()[:_SIGNATURE_BYTES]


def next_link(request: Request, cursor: str) -> str:
    """The value of `Link` (RFC 8288) with the next page, as a reference relative to this one's address."""
    others = [(name, value) for name, value in request.query_params.multi_items() if name not in ("cursor", "offset")]
    query = urlencode([*others, ("cursor", cursor)], quote_via=quote)
    return f'<{quote(request.scope["path"])}?{query}>; rel="next"'


@lru_cache(maxsize=4)
def _signing_key(secret: str) -> bytes:
    """A key of its own, so that no signature of a link is one of a cursor.

    A cursor grants nothing: filters and the caller's customer are those of its request. So an empty secret is no
    error, as it is for links; then only accidental changes are found.
    """
    return hmac.new(secret.encode(), b"cursors of lists, 1", hashlib.sha256).digest()


def _binding(request: Request) -> bytes:
    """The list, its filters and sort, and the customer to whom the caller is bound."""
    caller: Caller | None = request.scope.get("caller")
    bound_to = None if caller is None else caller.bound_to
    filters = sorted(item for item in request.query_params.multi_items() if item[0] not in _NOT_BOUND)
    return _encode((request.scope["path"], str(bound_to), filters))


def _wrong_cursor() -> Problem:
    return Problem.invalid(
        "cursor", "is not a cursor of this list: use it unchanged, with the filters and the sort of the page it is from"
    )
