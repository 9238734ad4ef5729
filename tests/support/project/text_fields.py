"""Every text of every request body of a service, found in its OpenAPI document: new fields come by themselves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Body:
    """The smallest valid body of one branch of a route's schema, with all optional members, and the paths of its texts.

    A path that ends with `KEY` is a member's name chosen by the client.
    """

    method: str
    route: str
    operation_id: str
    valid: Any
    texts: tuple[Path, ...]
    numbers: tuple[Path, ...]

    def __str__(self) -> str:
        state = self.valid.get("new_state") if isinstance(self.valid, dict) else None
        return f"{self.operation_id}{f' {state}' if state else ''}"


KEY = "a_key"


def bodies(document: Schema) -> Iterator[Body]:
    for route, operations in document["paths"].items():
        for method, operation in operations.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if schema is None:
                continue
            for branch in _branches(schema, document):
                texts: list[Path] = []
                numbers: list[Path] = []
                valid = _example(branch, document, (), texts, numbers)
                yield Body(method.upper(), route, operation["operationId"], valid, tuple(texts), tuple(numbers))


def _resolved(schema: Schema, document: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def _branches(schema: Schema, document: Schema) -> list[Schema]:
    schema = _resolved(schema, document)
    branches = schema.get("oneOf") or schema.get("anyOf")
    return [_resolved(each, document) for each in branches] if branches else [schema]


def _example(schema: Schema, document: Schema, path: Path, texts: list[Path], numbers: list[Path]) -> Any:
    alternatives = [each for each in _branches(schema, document) if each.get("type") != "null"]
    schema = alternatives[0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        texts.append(path)
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return _object(schema, document, path, texts, numbers)
        case "array":
            item = _example(schema["items"], document, (*path, 0), texts, numbers)
            return [item]
        case "string":
            texts.append(path)
            return _text(schema)
        case "integer" | "number":
            numbers.append(path)
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return True
    return None


def _object(schema: Schema, document: Schema, path: Path, texts: list[Path], numbers: list[Path]) -> Any:
    members = {
        name: _example(each, document, (*path, name), texts, numbers)
        for name, each in schema.get("properties", {}).items()
    }
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        members[KEY] = _example(values, document, (*path, KEY), texts, numbers)
    return members


def _text(schema: Schema) -> str:
    match schema.get("format"):
        case "uuid":
            return str(uuid4())
        case "email":
            return "ada@example.org"
        case "date-time":
            return "2099-12-31T12:00:00Z"
        case "date":
            return "2099-12-31"
    return "EUR" if schema.get("maxLength") == 3 else "Ada"


def value_at(document: Any, path: Path) -> Any:
    """None where the path does not lead to a value."""
    for part in path:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def with_value(document: Any, path: Path, value: Any) -> Any:
    """A copy with another value at the path."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(first, int):
        return [with_value(each, rest, value) if number == first else each for number, each in enumerate(document)]
    return {**document, first: with_value(document[first], rest, value)}


def texts_in(document: Any) -> Iterator[str]:
    """All texts of a JSON value, also the names of members."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping):
        for name, each in document.items():
            yield name
            yield from texts_in(each)
    elif isinstance(document, list):
        for each in document:
            yield from texts_in(each)
