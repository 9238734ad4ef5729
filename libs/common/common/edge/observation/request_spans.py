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
    has_span = active_spans() is not None and scope["path"] not in _POLLED
    return Work(_method(scope), "server", parent, log_fields=_ids_in_path(scope), has_span=has_span)


def describe_answer(work: Work, scope: Scope, status: int) -> None:
    """The span gets its attributes in one call, which costs less than two, and the route's name only now: the path
    itself would be a new name for each object."""
    if work.span is None or not work.span.is_recording():
        return
    route = scope.get("route_template")
    attributes = {
        "http.request.method": _method(scope),
        "http.response.status_code": status,
        "url.scheme": scope["scheme"],
        "url.path": without_secrets(excerpt(scope["path"])),
        **{f"articurated.{name}": value for name, value in _ids_in_path(scope).items()},
    }
    if route is not None:
        work.span.update_name(f"{_method(scope)} {route}")
        attributes["http.route"] = route
    work.span.set_attributes(attributes)
    if status >= 500:
        note({}, error=str(status))


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else OTHER_METHOD


def _ids_in_path(scope: Scope) -> Mapping[str, str]:
    """Of the objects that the request is about, as the client has written them."""
    return {
        name: value
        for name, value in scope.get("path_params", {}).items()
        if name.endswith("_id") and len(value) <= _LONGEST_ID
    }
