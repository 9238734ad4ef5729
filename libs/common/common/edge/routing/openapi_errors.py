"""The schemas of errors in the OpenAPI document: one per error code, and `ErrorResponse`, which fits all of them."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter

from common.errors import ErrorCode

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"


def reference(codes: Sequence[ErrorCode]) -> Schema:
    """The schema of a response that has one of these codes."""
    references = [{"$ref": _REFERENCE.format(model=schema_name(code))} for code in codes]
    return references[0] if len(references) == 1 else {"oneOf": references}


def schemas(codes: Iterable[ErrorCode]) -> dict[str, Schema]:
    parts: dict[str, Schema] = {}
    in_order = sorted(codes, key=lambda code: (code.status, code.wire_name))
    for code in in_order:
        details = TypeAdapter(code.details).json_schema(ref_template=_REFERENCE)
        parts |= details.pop("$defs", {})
        parts[details["title"]] = {**details, "additionalProperties": True}
        parts[schema_name(code)] = _error(
            f"{schema_name(code)}Body",
            {"type": "string", "const": code.wire_name},
            {"$ref": _REFERENCE.format(model=details["title"])},
            {"type": "integer", "const": code.status},
        ) | {"title": schema_name(code)}
    names = sorted({code.wire_name for code in in_order})
    any_code = {"type": "string", "title": "ErrorCode", "enum": names}
    any_details = {"$ref": _REFERENCE.format(model="ErrorDetails")}
    parts["ErrorResponse"] = {
        **_error("ErrorDetail", any_code, any_details, {"type": "integer"}),
        "description": "The shape of every error: the `…Error` of each code fits it.",
    }
    return dict(sorted(parts.items()))


def schema_name(code: ErrorCode) -> str:
    """Of `NOT_FOUND` it is `NotFoundError`."""
    words = (code.name or code.wire_name).removesuffix("_ERROR").split("_")
    return "".join(word.capitalize() for word in words) + "Error"


def _error(title: str, code: Schema, details: Schema, status: Schema) -> Schema:
    """The contract's `error` together with the members of RFC 9457."""
    return {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "title": title,
                "properties": {"code": code, "message": {"type": "string"}, "details": details},
                "required": ["code", "message", "details"],
            },
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": status,
            "detail": {"type": "string"},
            "instance": {"type": "string", "format": "uri-reference"},
        },
        "required": ["error", "type", "title", "status", "detail", "instance"],
    }
