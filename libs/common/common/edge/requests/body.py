"""The body of a request: its size, its type, and its JSON with exact numbers."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from common.edge.requests.headers import header_values, single_header
from common.edge.requests.json_members import find_duplicate
from common.errors import Code, Problem
from common.internals.starlette import store_body, store_json

# Requests with these methods have no body and no effect.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_JSON_TYPE = re.compile(r"application/([!-~]+\+)?json")


def _number(literal: str) -> Decimal:
    try:
        return Decimal(literal)
    except InvalidOperation:
        raise ValueError("out of range") from None


_decoder = msgspec.json.Decoder(float_hook=_number)


async def read_json(request: Request, limit: int) -> bytes:
    """Read the body and store its JSON for the endpoint. Raises `Problem` 400, 413, 415 or 422."""
    _check_content_encoding(request.scope)
    body = await _read(request, limit)
    store_body(request, body)
    if body:
        _check_content_type(request.scope)
        store_json(request, parse_json(body))
    return body


def parse_json(body: bytes) -> Any:
    """Fractions are `Decimal`s. NaN, Infinity, duplicate members and NUL, which PostgreSQL cannot store, are refused.

    A byte order mark at the start is ignored, as RFC 8259 (8.1) permits: some clients always send it.
    Raises `Problem` BAD_REQUEST, or VALIDATION_ERROR for JSON that cannot be stored.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        value = _decoder.decode(body)
        duplicate = find_duplicate(body, value)
        holds_nul = b"\\u0000" in body and _holds_nul(value)
    except msgspec.ValidationError as error:  # without a target type, only numbers can be wrong
        raise Problem.invalid("body", "holds a number that is too large or too small to be read") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(Code.BAD_REQUEST, "The body is not valid JSON.", {"reason": str(error)}) from error
    except RecursionError as error:
        raise Problem(Code.BAD_REQUEST, "The body is nested too deeply.") from error
    if duplicate is not None:
        raise Problem(Code.BAD_REQUEST, f"The body has the member {duplicate} twice.", {"member": duplicate})
    if holds_nul:
        raise Problem.invalid("body", "Texts must not contain NUL characters")
    return value


async def _read(request: Request, limit: int) -> bytes:
    announced = request.headers.get("content-length")
    if announced is not None and announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    chunks, size, more = [], 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check_content_encoding(scope: Scope) -> None:
    codings = [
        coding.strip().lower() for value in header_values(scope, b"content-encoding") for coding in value.split(b",")
    ]
    unknown = next((coding for coding in codings if coding not in (b"", b"identity")), None)
    if unknown is not None:
        details = {"content_encoding": unknown.decode("latin-1")}
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "The body must be sent as it is, without a content coding.", details)


def _check_content_type(scope: Scope) -> None:
    """JSON, or a type with the suffix `+json` (RFC 6839). Without a content type, JSON is assumed."""
    content_type = (single_header(scope, b"content-type") or b"application/json").decode("latin-1")
    media_type = content_type.partition(";")[0].strip().lower()
    if not _JSON_TYPE.fullmatch(media_type):
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.", {"content_type": media_type})


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(_holds_nul, value))


def _too_large(limit: int) -> Problem:
    return Problem(Code.PAYLOAD_TOO_LARGE, f"The body has more than {limit} bytes.", {"limit_bytes": limit})
