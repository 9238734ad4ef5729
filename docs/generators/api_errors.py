"""Error responses of a document that several operations share, as components of the document."""

import json
from collections.abc import Iterable
from typing import Any

Response = dict[str, Any]

_FIRST_ERROR = 400


def share_errors(operations: Iterable[dict[str, Any]]) -> dict[str, Response]:
    """Replace each error response by a reference to a component, and return the components by their names."""
    components: dict[str, Response] = {}
    for operation in operations:
        for status, response in operation["responses"].items():
            if int(status) >= _FIRST_ERROR and not _has_own_examples(response) and (names := _codes(response)):
                name = _component(names, response, components)
                operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(components.items()))


def _has_own_examples(response: Response) -> bool:
    examples = response["content"]["application/json"].get("examples", {})
    return any("$ref" not in each for each in examples.values())


def _codes(response: Response) -> list[str]:
    """Of the schemas `ConflictError` and `NotFoundError` they are `Conflict` and `NotFound`."""
    schema = response["content"]["application/json"]["schema"]
    references = [each.get("$ref", "") for each in schema.get("oneOf", [schema])]
    names = [reference.rpartition("/")[2] for reference in references]
    return [name.removesuffix("Error") for name in names if name.endswith("Error")]


def _component(codes: list[str], response: Response, components: dict[str, Response]) -> str:
    base = "Or".join(codes) + ("" if "RateLimit" in response["headers"] else "WithoutKey")
    number, name = 1, base
    while name in components and _text(components[name]) != _text(response):
        number += 1
        name = f"{base}{number}"
    components[name] = response
    return name


def _text(response: Response) -> str:
    return json.dumps(response, sort_keys=True)
