"""The span of a request, by the semantic conventions for HTTP servers, and the ids that its log lines have.

Left out on purpose: the query, which may have an e-mail address, the client's address and its `User-Agent`.
"""

from collections.abc import Mapping

from starlette.types import Scope

from common.errors import excerpt
from common.telemetry.redaction import without_secrets
from common.telemetry.trace_context import incoming_traceparent
from common.telemetry.tracing import Work, active_spans, note

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "_OTHER"
# Asked every few seconds by monitoring: their spans would hide all others.
_POLLED = frozenset({"/livez", "/readyz", "/metrics", "/api/v1/health", "/api/v1/metrics"})
_LONGEST_ID = 36


def request_work(scope: Scope) -> Work:
    parent = incoming_traceparent(scope["headers"])
    ids = _ids_in_path(scope)
    if active_spans() is None or scope["path"] in _POLLED:
        return Work("request", "server", parent, log_fields=ids, has_span=False)
    method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
    attributes = {
        "http.request.method": method,
        "url.scheme": scope["scheme"],
        "url.path": without_secrets(excerpt(scope["path"])),
        **{f"articurated.{name}": value for name, value in ids.items()},
    }
    return Work(method, "server", parent, attributes=attributes, log_fields=ids)


def describe_answer(work: Work, scope: Scope, status: int) -> None:
    """The span gets the route's name only now: the path itself would be a new name for each object."""
    if work.span is None:
        return
    route = scope.get("route_template")
    if route is not None:
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        work.span.update_name(f"{method} {route}")
        work.span.set_attribute("http.route", route)
    work.span.set_attribute("http.response.status_code", status)
    if status >= 500:
        note({}, error=str(status))


def _ids_in_path(scope: Scope) -> Mapping[str, str]:
    """Of the objects that the request is about, as the client has written them."""
    return {
        name: value
        for name, value in scope.get("path_params", {}).items()
        if name.endswith("_id") and len(value) <= _LONGEST_ID
    }
