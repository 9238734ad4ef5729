"""The parts of the OpenAPI document that routes share: security schemes, `Idempotency-Key`, response headers."""

from collections.abc import Mapping
from typing import Any

from common.edge.commands.idempotency import MAXIMUM_LENGTH

SECURITY_SCHEMES: Mapping[str, dict[str, Any]] = {
    "ApiKeyAuth": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key `prefix.secret`. It has one role; a client's key may be bound to one customer.",
    },
    "BearerAuth": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of the configured issuer, with one role; a client's token names its customer.",
    },
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the same answer for a day, and the effect happens once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAXIMUM_LENGTH, "pattern": "^[ -~]+$"},
}

CONDITIONS = {
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
    "Link": _header('The next page of a list, `<…>; rel="next"`; it is missing on the last page.'),
    "Accept-Encoding": _header("`identity`, when the body's content coding was refused."),
    "Idempotency-Replayed": _header("`true` when the answer is the one that this Idempotency-Key got before."),
}
HEADERS_OF_EVERY_ANSWER = ("X-Request-Id", "traceparent", "Cache-Control", "X-Content-Type-Options")
HEADERS_OF_A_KEY = ("RateLimit-Policy", "RateLimit")
HEADERS_OF_STATUS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After",),
    412: ("ETag",),
    415: ("Accept-Encoding",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
