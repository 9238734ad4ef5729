"""The bytes of a whole error response, for requests that end before the application sees them."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus

import structlog

from common.edge.problems.problem_details import encode_problem, instance_of, problem_headers, problem_media_type
from common.errors import Code, Problem
from common.telemetry.trace_context import new_traceparent, trace_headers, trace_id

# Of the pages that every role has.
ALLOWED_METHODS = "GET, HEAD"

_log = structlog.get_logger(__name__)


def refusal(
    problem: Problem,
    *,
    reason: str,
    client: str | None,
    target: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    server_headers: Iterable[tuple[bytes, bytes]] = (),
    without_body: bool = False,
) -> bytes:
    """The response, which ends the connection; its `X-Request-Id` is logged with `reason`.

    `target` and `headers` are those of the request as far as they were received.
    """
    traceparent = new_traceparent()
    _log.info("request refused", reason=reason, detail=problem.message, client=client, trace_id=trace_id(traceparent))
    body = encode_problem(problem, instance_of({"raw_path": target.partition(b"?")[0], "path": ""}))
    answer_headers = {
        "Content-Type": problem_media_type(headers),
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        **problem_headers(problem),
    }
    if problem.code is Code.METHOD_NOT_ALLOWED:
        answer_headers["Allow"] = ALLOWED_METHODS
    status = problem.code.status
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in (*server_headers, *trace_headers(traceparent))]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in answer_headers.items()]
    return b"\r\n".join([*lines, b"", b"" if without_body else body])
