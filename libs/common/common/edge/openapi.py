"""What the OpenAPI document says of every guarded route: its errors in our shape, its key, its Idempotency-Key."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI

from common.access.auth import EVERYONE, allowed_roles
from common.edge.idempotency import MAXIMUM_LENGTH
from common.edge.problem_details import PROBLEM_JSON
from common.errors import Code

# The contract's `error` beside the members of RFC 9457.
ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "enum": sorted({code.wire_name for code in Code})},
                "message": {"type": "string"},
                "details": {"type": "object"},
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
API_KEY = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the same answer again, for a day; the effect is had once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAXIMUM_LENGTH},
}
_MEANING = {
    400: "The request cannot be read.",
    401: "No valid API key.",
    403: "The caller's role may not do this.",
    404: "There is no such object, or it is another customer's.",
    409: "The current state does not allow this.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request's values are not acceptable; `details.errors` names each.",
    429: "Too many requests in a minute.",
    500: "A fault on our side.",
    503: "A part that is needed cannot be reached; try again.",
}


def describe(path: str, endpoint: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """A route's options with what its document should say beside its own."""
    unsafe = bool(set(options.get("methods") or ()) - {"GET", "HEAD", "OPTIONS"})
    open_route = allowed_roles(endpoint) is EVERYONE
    statuses = {500, 503} | ({400} if not open_route else set())
    if not open_route:
        statuses |= {401, 403, 422, 429}
    if "{" in path:
        statuses |= {404}
    if unsafe:
        statuses |= {409, 413, 415}
    errors = {status: error_response(status) for status in sorted(statuses)}
    extra = dict(options.get("openapi_extra") or {})
    if not open_route:
        extra["security"] = [{"ApiKey": []}]
    if unsafe and not open_route:
        extra["parameters"] = [*extra.get("parameters", []), IDEMPOTENCY_KEY]
    responses = {**errors, **(options.get("responses") or {})}
    kept = {name: value for name, value in options.items() if name != "strict_content_type"}
    return {**kept, "responses": responses, "openapi_extra": extra}


def error_response(status: int) -> dict[str, Any]:
    schema = {"schema": {"$ref": "#/components/schemas/Error"}}
    return {"description": _MEANING[status], "content": {"application/json": schema, PROBLEM_JSON: schema}}


def complete_document(app: FastAPI) -> None:
    """Add to the application's document, which is made on first demand, what its routes refer to."""
    make = app.openapi

    def document() -> dict[str, Any]:
        made = make()
        components = made.setdefault("components", {})
        components["securitySchemes"] = {"ApiKey": API_KEY}
        components.setdefault("schemas", {})["Error"] = ERROR
        return made

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
