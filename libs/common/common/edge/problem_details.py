"""Every refusal in one shape: the contract's `error` beside the members of RFC 9457."""

import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from common.errors import Code, Problem, excerpt

PROBLEM_JSON = "application/problem+json"
# Every address of ours is shorter; of a longer one, which leads nowhere, the beginning is repeated.
LONGEST_ADDRESS = 1000
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def encode_problem(problem: Problem, path: str) -> bytes:
    return _encoder.encode(problem_body(problem, path))


def problem_body(problem: Problem, path: str) -> dict[str, Any]:
    """Texts that repeat what a client sent are cut: a refusal is never much larger than what it answers."""
    name, message = problem.code.wire_name, excerpt(problem.message)
    details = {key: excerpt(value) if type(value) is str else value for key, value in problem.details.items()}
    return {
        "error": {"code": name, "message": message, "details": details},
        "type": f"urn:articurated:problem:{name.lower().replace('_', '-')}",
        "title": HTTPStatus(problem.code.status).phrase,
        "status": problem.code.status,
        "detail": message,
        "instance": path[:LONGEST_ADDRESS],
    }


def problem_media_type(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """`application/problem+json` for a request that asks for it."""
    wanted = any(name == b"accept" and PROBLEM_JSON.encode() in value.lower() for name, value in headers)
    return PROBLEM_JSON if wanted else "application/json"


def problem_headers(problem: Problem) -> dict[str, str]:
    """The headers that belong to a refusal: when to come back, how to authenticate."""
    headers = {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    if problem.code is Code.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'ApiKey realm="articurated", header="X-API-Key"'
    return headers
