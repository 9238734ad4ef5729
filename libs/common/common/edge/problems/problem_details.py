"""The body and the headers of an error response: the contract's `error` and the members of RFC 9457."""

import math
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec

from common.aggregates.precondition import entity_tag
from common.errors import Code, Problem, excerpt

API_KEY_CHALLENGE = 'ApiKey realm="articurated", header="X-API-Key"'
PROBLEM_JSON = "application/problem+json"
# All valid addresses are shorter; of a longer one the beginning is repeated.
LONGEST_ADDRESS = 1000
# Characters of a path besides letters and digits (RFC 3986, 3.3).
_PATH_CHARACTERS = "/-._~!$&'()*+,;=:@"
_ENCODED = re.compile(r"(%[0-9A-Fa-f]{2})")
_HALF_ENCODED = re.compile(r"%.?$")
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def instance_of(scope: Mapping[str, Any]) -> str:
    """The path of an ASGI request as a URI reference (RFC 9457, 3.1.5): as it was sent, invalid characters encoded.

    A path that begins with `//` would be read as the name of a host (RFC 3986, 4.2), so it gets the prefix `/.`.
    """
    path = (scope.get("raw_path") or scope["path"].encode())[:LONGEST_ADDRESS]
    parts = _ENCODED.split(path.decode("latin-1"))
    encoded = "".join(part if _ENCODED.fullmatch(part) else quote(part, _PATH_CHARACTERS, "latin-1") for part in parts)
    address = _HALF_ENCODED.sub("", encoded[:LONGEST_ADDRESS])
    return f"/.{address}" if address.startswith("//") else address


def encode_problem(problem: Problem, instance: str) -> bytes:
    return _encoder.encode(problem_body(problem, instance))


def problem_body(problem: Problem, instance: str) -> dict[str, Any]:
    """Texts that repeat input of the client are cut: a response is never much larger than its request."""
    name, message = problem.code.wire_name, excerpt(problem.message)
    details = {key: excerpt(value) if type(value) is str else value for key, value in problem.details.items()}
    return {
        "error": {"code": name, "message": message, "details": details},
        "type": f"urn:articurated:problem:{name.lower().replace('_', '-')}",
        "title": HTTPStatus(problem.code.status).phrase,
        "status": problem.code.status,
        "detail": message,
        "instance": instance,
    }


def problem_media_type(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """`application/problem+json` for a request that accepts it."""
    is_accepted = any(name == b"accept" and PROBLEM_JSON.encode() in value.lower() for name, value in headers)
    return PROBLEM_JSON if is_accepted else "application/json"


def problem_headers(problem: Problem) -> dict[str, str]:
    """`Retry-After`, `WWW-Authenticate`, `ETag` or `Accept-Encoding`, where the problem has one of them."""
    headers = {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    if problem.challenge is not None:
        headers["WWW-Authenticate"] = problem.challenge
    elif problem.code is Code.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = API_KEY_CHALLENGE
    if problem.code is Code.PRECONDITION_FAILED and problem.details["current_version"] is not None:
        headers["ETag"] = entity_tag(problem.details["current_version"])
    if "content_encoding" in problem.details:
        headers["Accept-Encoding"] = "identity"
    return headers
