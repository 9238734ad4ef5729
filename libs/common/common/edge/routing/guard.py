"""The checks of a route before its endpoint is called, in the contract's order (docs/reference/errors.md)."""

import re
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from common.access.auth import Role
from common.edge.admission.admission import Admission
from common.edge.requests.body import parse_json
from common.edge.requests.body_bounds import THINNED_ABOVE_BYTES, drop_unknown_fields
from common.edge.requests.headers import header_values, single_header
from common.errors import Code, Problem
from common.internals.starlette import store_body, store_json, stored_json
from common.service import Runtime

# Requests with these methods have no body and no effect.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_JSON_TYPE = re.compile(r"application/([!-~]+\+)?json")


@dataclass(frozen=True, slots=True)
class Guard:
    """`roles` are those that may call, None for everybody. `body_model` is the type that validates the body, if it is a
    model."""

    roles: frozenset[Role] | None
    route_template: str
    body_model: type[BaseModel] | None

    async def check(self, request: Request) -> None:
        """Admit the caller, then read the body. Raises `Problem`."""
        scope = request.scope
        scope["route_template"] = self.route_template
        state, running = request.app.state, scope["running"]
        if self.roles is not None:
            admission: Admission = state.admission
            await admission.admit(scope, self.roles)
            running.owner = scope["caller"].scope
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            raise Problem(Code.BAD_REQUEST, "The address must not contain NUL characters.")
        if scope["method"] not in SAFE_METHODS:
            running.begin_body()
            body = await _read_json(request, Runtime.of(request).settings.max_body_bytes)
            running.end_body()
            if self.body_model is not None and len(body) > THINNED_ABOVE_BYTES:
                scope["problems_left_out"] = drop_unknown_fields(stored_json(request, None), self.body_model)


async def _read_json(request: Request, limit: int) -> bytes:
    """Read the body and store its JSON for the endpoint. Raises `Problem` 400, 413, 415 or 422."""
    _check_content_encoding(request.scope)
    body = await _read(request, limit)
    store_body(request, body)
    if body:
        _check_content_type(request.scope)
        store_json(request, parse_json(body))
    return body


async def _read(request: Request, limit: int) -> bytes:
    content_length = request.headers.get("content-length")
    if content_length is not None and content_length.isdecimal() and int(content_length) > limit:
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


def _too_large(limit: int) -> Problem:
    return Problem(Code.PAYLOAD_TOO_LARGE, f"The body has more than {limit} bytes.", {"limit_bytes": limit})
