"""Every refusal in one shape: the contract's `error` beside the members of RFC 9457."""

import math
from http import HTTPStatus
from typing import Any

import msgspec

from common.errors import Code, Problem

PROBLEM_JSON = "application/problem+json"
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def encode_problem(problem: Problem, path: str) -> bytes:
    return _encoder.encode(problem_body(problem, path))


def problem_body(problem: Problem, path: str) -> dict[str, Any]:
    name = problem.code.wire_name
    return {
        "error": {"code": name, "message": problem.message, "details": problem.details},
        "type": f"urn:articurated:problem:{name.lower().replace('_', '-')}",
        "title": HTTPStatus(problem.code.status).phrase,
        "status": problem.code.status,
        "detail": problem.message,
        "instance": path,
    }


def problem_headers(problem: Problem) -> dict[str, str]:
    """The headers that belong to a refusal: when to come back, how to authenticate."""
    headers = {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    if problem.code is Code.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'ApiKey realm="articurated", header="X-API-Key"'
    return headers
