"""What the OpenAPI document says of a guarded route: names, statuses with their error codes, headers (ADR 22, 34)."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastapi import FastAPI

from common.access.auth import Role
from common.edge.problems.problem_details import PROBLEM_JSON
from common.edge.routing import openapi_errors
from common.edge.routing.guard import SAFE_METHODS
from common.edge.routing.openapi_parts import (
    CONDITIONS,
    HEADERS,
    HEADERS_OF_A_KEY,
    HEADERS_OF_EVERY_ANSWER,
    HEADERS_OF_STATUS,
    IDEMPOTENCY_KEY,
    SECURITY_SCHEMES,
)
from common.errors import Code, ErrorCode

# The roles that may call an operation, as an extension of its document.
ROLES = "x-roles"
_MEANING = {
    200: "The result.",
    201: "What was created; `Location` has its path.",
    304: "The client has the current version already.",
    400: "The request cannot be read.",
    401: "There is no valid API key.",
    403: "The caller may not do this.",
    404: "There is no such object, or it is another customer's.",
    409: "The current state does not allow this, or the first request with this `Idempotency-Key` is still running.",
    412: "The current version is another one than `If-Match` names.",
    413: "The body is too large.",
    415: "The body is not JSON, or it has a content coding.",
    422: "A value of the request is not acceptable; `details.errors` names the first hundred problems.",
    429: "The caller has sent too many requests; try again after `Retry-After` seconds.",
    500: "A fault on our side; `X-Request-Id` finds it in our logs.",
    503: "A part that is needed cannot be reached; try again after `Retry-After` seconds.",
}
_CODE_OF_STATUS: Mapping[int, ErrorCode] = {
    code.status: code
    for code in (
        Code.BAD_REQUEST,
        Code.UNAUTHENTICATED,
        Code.FORBIDDEN,
        Code.NOT_FOUND,
        Code.CONFLICT,
        Code.PRECONDITION_FAILED,
        Code.PAYLOAD_TOO_LARGE,
        Code.UNSUPPORTED_MEDIA_TYPE,
        Code.VALIDATION_ERROR,
        Code.RATE_LIMITED,
        Code.INTERNAL_ERROR,
        Code.UNAVAILABLE,
    )
}


def describe(
    endpoint: Callable[..., Any],
    options: Mapping[str, Any],
    *,
    roles: frozenset[Role] | None,
    has_object: bool,
    versioned: bool,
    errors: Iterable[ErrorCode],
) -> dict[str, Any]:
    """A route's options, completed for its document. The default operation id is the endpoint's name in camel case.

    `errors` are the route's own codes, besides those of every route. A response of the route that is empty, as in
    `responses={404: {}}`, is the contract's error of this status.
    """
    if not options.get("include_in_schema", True):
        return dict(options)
    operation_id = options.get("operation_id") or _camel_case(endpoint.__name__)
    is_unsafe = not SAFE_METHODS.issuperset(options["methods"])
    own_responses: Mapping[int, dict[str, Any]] = options.get("responses", {})
    common = _common_codes(roles=roles, has_object=has_object, is_unsafe=is_unsafe, versioned=versioned)
    codes = [*common, *errors]
    codes += [_CODE_OF_STATUS[status] for status, response in own_responses.items() if not response]
    documented_responses = _error_responses(codes) | {
        status: response for status, response in own_responses.items() if response
    }
    if versioned and not is_unsafe:
        documented_responses[304] = {}
    responses = {
        status: _with_headers(status, response, needs_key=roles is not None, is_unsafe=is_unsafe, versioned=versioned)
        for status, response in sorted(documented_responses.items())
    }
    names = {"operation_id": operation_id, "summary": options.get("summary") or _summary(operation_id)}
    extra = _extra(roles, is_unsafe=is_unsafe, versioned=versioned)
    return {**options, **names, "responses": responses, "openapi_extra": extra}


def _extra(roles: frozenset[Role] | None, *, is_unsafe: bool, versioned: bool) -> dict[str, Any]:
    parameters = [IDEMPOTENCY_KEY] if roles is not None and is_unsafe else []
    if versioned:
        parameters.append(CONDITIONS["If-Match" if is_unsafe else "If-None-Match"])
    extra: dict[str, Any] = {"parameters": parameters} if parameters else {}
    if roles is not None:
        extra[ROLES] = sorted(roles, key=list(Role).index)
        extra["security"] = [{scheme: []} for scheme in SECURITY_SCHEMES]
    return extra


def _common_codes(
    *, roles: frozenset[Role] | None, has_object: bool, is_unsafe: bool, versioned: bool
) -> list[ErrorCode]:
    codes = [Code.VALIDATION_ERROR, Code.INTERNAL_ERROR, Code.UNAVAILABLE]
    if roles is not None:
        codes += [Code.BAD_REQUEST, Code.UNAUTHENTICATED, Code.RATE_LIMITED]
        if roles != frozenset(Role):
            codes += [Code.FORBIDDEN]
    if has_object:
        codes += [Code.NOT_FOUND]
    if is_unsafe:
        codes += [Code.PAYLOAD_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE]
    if is_unsafe and roles is not None:  # an Idempotency-Key is stored for its caller, whom only other routes know
        codes += [Code.CONFLICT, Code.IDEMPOTENCY_KEY_REUSED]
    if is_unsafe or versioned:
        codes += [Code.PRECONDITION_FAILED]
    return codes


def _error_responses(codes: Iterable[ErrorCode]) -> dict[int, dict[str, Any]]:
    by_status: dict[int, list[ErrorCode]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(code.status, []).append(code)
    return {status: error_response(status, of_status) for status, of_status in by_status.items()}


def error_response(status: int, codes: Iterable[ErrorCode]) -> dict[str, Any]:
    in_order = sorted(codes, key=lambda code: code.wire_name)
    schema = {"schema": openapi_errors.reference(in_order)}
    names = ", ".join(f"`{code.wire_name}`" for code in in_order)
    return {
        "description": f"{names}: {_MEANING[status]}",
        "content": {"application/json": schema, PROBLEM_JSON: schema},
    }


def _with_headers(
    status: int, response: dict[str, Any], *, needs_key: bool, is_unsafe: bool, versioned: bool
) -> dict[str, Any]:
    names = [*HEADERS_OF_EVERY_ANSWER, *(HEADERS_OF_A_KEY if needs_key else ())]
    names += HEADERS_OF_STATUS.get(status, ())
    members = getattr(response.get("model"), "__annotations__", {})
    if "pagination" in members:
        names.append("Link")
    if status < 300 and is_unsafe and needs_key:
        names += ["Idempotency-Replayed", *(["Location"] if status == 201 and "version" in members else [])]
    if (status == 201 and "version" in members) or (status < 400 and versioned):
        names.append("ETag")
    references = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    description = {"description": _MEANING[status]} if status in _MEANING else {}
    return {**description, **response, "headers": {**references, **response.get("headers", {})}}


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _summary(operation_id: str) -> str:
    """Of `listJobs` it is `List jobs`."""
    return re.sub(r"(?<!^)([A-Z])", lambda match: f" {match[1].lower()}", operation_id).capitalize()


def complete_document(app: FastAPI, codes: Iterable[ErrorCode]) -> None:
    """Add the components that routes refer to. The document is made at the first request for it."""
    make = app.openapi

    def document() -> dict[str, Any]:
        made = make()
        components = made.setdefault("components", {})
        components["securitySchemes"] = dict(SECURITY_SCHEMES)
        components["headers"] = dict(HEADERS)
        components.setdefault("schemas", {}).update(openapi_errors.schemas(codes))
        for path in made["paths"].values():
            for operation in path.values():
                _describe_ids(operation.get("parameters", []))
        _separate_by_commas(made)
        return made

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _separate_by_commas(document: Mapping[str, Any]) -> None:
    """A list in a query is one parameter: FastAPI documents a repeated one."""
    operations = (operation for path in document["paths"].values() for operation in path.values())
    for parameter in (each for operation in operations for each in operation.get("parameters", ())):
        schemas = parameter.get("schema", {}).get("anyOf", ())
        if parameter["in"] == "query" and any(schema.get("type") == "array" for schema in schemas):
            parameter |= {"style": "form", "explode": False}


def _describe_ids(parameters: Iterable[dict[str, Any]]) -> None:
    """`vase_id` in a path is "The vase's id."."""
    for parameter in parameters:
        if parameter["in"] == "path":
            noun = parameter["name"].removesuffix("_id").replace("_", " ")
            parameter.setdefault("description", f"The {noun}'s id.")
