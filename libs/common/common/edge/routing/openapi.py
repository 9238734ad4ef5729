"""The parts of the OpenAPI document of all guarded routes: errors, API key, Idempotency-Key, headers (ADR 22)."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastapi import FastAPI

from common.edge.commands.idempotency import MAXIMUM_LENGTH
from common.edge.problems.problem_details import PROBLEM_JSON
from common.edge.routing.guard import SAFE_METHODS
from common.errors import ErrorCode

SECURITY_SCHEME = "ApiKeyAuth"
API_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": "X-API-Key",
    "description": "A key `prefix.secret`. It has one role; a client's key may be bound to one customer.",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the same answer for a day, and the effect happens once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAXIMUM_LENGTH, "pattern": "^[ -~]+$"},
}
_CONDITIONS = {
    name: {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*)$'},
    }
    for name, description in (
        ("If-Match", 'The change is made only if the current version is this one, `"7"`, or one of a list.'),
        ("If-None-Match", 'The answer is 304, without a body, if the current version is this one, `"7"`.'),
    )
}
_MEANING = {
    304: "The client has the current version already.",
    400: "The request cannot be read.",
    401: "No valid API key.",
    403: "The caller's role may not do this.",
    404: "There is no such object, or it is another customer's.",
    409: "The current state does not allow this.",
    412: "The current version is another one than `If-Match` names.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request's values are not acceptable; `details.errors` names the first hundred problems.",
    429: "Too many requests in a minute.",
    500: "A fault on our side.",
    503: "A part that is needed cannot be reached; try again.",
}


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


HEADERS: Mapping[str, dict[str, Any]] = {
    "X-Request-Id": _header(
        "The trace id: it is in the service's log lines and in the events that the request causes."
    ),
    "traceparent": _header("The request's place in its trace (W3C Trace Context)."),
    "RateLimit-Policy": _header("The limit of the caller's key (draft-ietf-httpapi-ratelimit-headers)."),
    "RateLimit": _header("What is left of the limit, and the seconds until it is renewed."),
    "Retry-After": _header("Seconds to wait before the next try.", "integer"),
    "WWW-Authenticate": _header("How to authenticate."),
    "Location": _header("The path of what was created."),
    "Cache-Control": _header("`no-store`, but for a document, which has an `ETag`."),
    "X-Content-Type-Options": _header("`nosniff`."),
    "ETag": _header('The version, in quotation marks: `"7"`.'),
    "Accept-Encoding": _header("`identity`, when the body's content coding was refused."),
    "Idempotency-Replayed": _header("`true` when the answer is the one that this Idempotency-Key got before."),
}
_OF_EVERY_ANSWER = ("X-Request-Id", "traceparent", "Cache-Control", "X-Content-Type-Options")
_OF_A_KEY = ("RateLimit-Policy", "RateLimit")
_OF_STATUS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After",),
    412: ("ETag",),
    415: ("Accept-Encoding",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}


def describe(
    path: str, endpoint: Callable[..., Any], options: Mapping[str, Any], *, needs_key: bool, versioned: bool
) -> dict[str, Any]:
    """A route's options, completed for its document. The default operation id is the endpoint's name in camel case.

    A response of the route that is empty, as in `responses={404: {}}`, is the contract's error of this status.
    """
    if not options.get("include_in_schema", True):
        return dict(options)
    operation_id = options.get("operation_id") or _camel_case(endpoint.__name__)
    is_unsafe = not SAFE_METHODS.issuperset(options["methods"])
    documented_responses: dict[int, dict[str, Any]] = {
        **{status: {} for status in _statuses(path, needs_key=needs_key, is_unsafe=is_unsafe, versioned=versioned)},
        **options.get("responses", {}),
    }
    responses = {
        status: _with_headers(
            status, response or _response(status), needs_key=needs_key, is_unsafe=is_unsafe, versioned=versioned
        )
        for status, response in documented_responses.items()
    }
    extra: dict[str, Any] = {"security": [{SECURITY_SCHEME: []}]} if needs_key else {}
    parameters = [IDEMPOTENCY_KEY] if needs_key and is_unsafe else []
    if versioned:
        parameters.append(_CONDITIONS["If-Match" if is_unsafe else "If-None-Match"])
    if parameters:
        extra["parameters"] = parameters
    names = {"operation_id": operation_id, "summary": _summary(operation_id)}
    return {**options, **names, "responses": responses, "openapi_extra": extra}


def _statuses(path: str, *, needs_key: bool, is_unsafe: bool, versioned: bool) -> list[int]:
    statuses = {422, 500, 503}
    if needs_key:
        statuses |= {400, 401, 403, 429}
    if "{" in path:
        statuses |= {404}
    if is_unsafe:
        statuses |= {409, 412, 413, 415}
    elif versioned:
        statuses |= {304, 412}
    return sorted(statuses)


def _with_headers(
    status: int, response: dict[str, Any], *, needs_key: bool, is_unsafe: bool, versioned: bool
) -> dict[str, Any]:
    names = [*_OF_EVERY_ANSWER, *(_OF_A_KEY if needs_key else ()), *_OF_STATUS.get(status, ())]
    if status < 300 and is_unsafe:
        names += ["Idempotency-Replayed", *(["Location"] if status == 201 else [])]
    if status == 201 or (status < 400 and versioned):
        names.append("ETag")
    references = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return {**response, "headers": {**references, **response.get("headers", {})}}


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _summary(operation_id: str) -> str:
    """Of `listJobs` it is `List jobs`."""
    return re.sub(r"(?<!^)([A-Z])", lambda match: f" {match[1].lower()}", operation_id).capitalize()


def _response(status: int) -> dict[str, Any]:
    """The contract's error, or 304, which has no body."""
    if status == 304:
        return {"description": _MEANING[status]}
    schema = {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}
    return {"description": _MEANING[status], "content": {"application/json": schema, PROBLEM_JSON: schema}}


def complete_document(app: FastAPI, codes: Iterable[ErrorCode]) -> None:
    """Add the components that routes refer to. The document is made at the first request for it."""
    make = app.openapi

    def document() -> dict[str, Any]:
        made = make()
        components = made.setdefault("components", {})
        components["securitySchemes"] = {SECURITY_SCHEME: API_KEY}
        components["headers"] = dict(HEADERS)
        components.setdefault("schemas", {})["ErrorResponse"] = _error(codes)
        return made

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _error(codes: Iterable[ErrorCode]) -> dict[str, Any]:
    """The contract's `error` together with the members of RFC 9457."""
    names = sorted({code.wire_name for code in codes})
    return {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "title": "ErrorDetail",
                "properties": {
                    "code": {"type": "string", "title": "ErrorCode", "enum": names},
                    "message": {"type": "string"},
                    "details": {"type": "object", "title": "ErrorDetails", "additionalProperties": True},
                },
                "required": ["code", "message", "details"],
            },
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string", "format": "uri-reference"},
        },
        "required": ["error", "type", "title", "status", "detail", "instance"],
    }
