"""Whether every value of one JSON Schema is valid for another one, for the parts of JSON Schema that we use."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

# Bounds that a narrower schema may raise, and those that it may lower.
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_KIND_OF_FORMAT = ("format", "pattern")


@dataclass(frozen=True, slots=True)
class Parts:
    """A document, for its references."""

    document: Mapping[str, Any]

    def resolved(self, part: Schema) -> Schema:
        while "$ref" in part:
            target: Any = self.document
            for name in part["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            part = target
        return part


@dataclass(frozen=True, slots=True)
class Schemas:
    schema: Schema
    parts: Parts

    def of(self, schema: Schema) -> "Schemas":
        return Schemas(schema, self.parts)

    def resolved(self) -> "Schemas":
        return self.of(self.parts.resolved(self.schema))

    def alternatives(self) -> list["Schemas"]:
        """The branches of `anyOf` and `oneOf`, and one per type of a list of types."""
        schema = self.resolved().schema
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            return [each for branch in branches for each in self.of(branch).alternatives()]
        kinds = schema.get("type")
        return [self.of({**schema, "type": kind}) for kind in kinds] if isinstance(kinds, list) else [self.of(schema)]


def misfits(values: Schemas, accepted: Schemas, path: str, *, answers: bool) -> Iterator[str]:
    """Why a value of the first schema may be invalid for the second.

    `answers`: the first schema is the new one of an answer, which may have more members but must keep the old ones, and
    all values of an enumeration. Else it is the old one of a request.
    """
    branches = accepted.alternatives()
    reached = set()
    for alternative in values.alternatives():
        problems = [list(_misfits(alternative, branch, path, answers=answers)) for branch in branches]
        best = min(range(len(branches)), key=lambda number: len(problems[number]))
        reached |= {number for number, reasons in enumerate(problems) if not reasons}
        if problems[best]:
            verdict = "is new" if answers else "is no longer accepted"
            several = f"{path}: {_name(alternative.schema)} {verdict}"
            yield from problems[best] if len(branches) == 1 else [several]
    if answers:
        for number, branch in enumerate(branches):
            if number not in reached and len(branches) > 1:
                yield f"{path}: {_name(branch.schema)} is gone"


def _misfits(values: Schemas, accepted: Schemas, path: str, *, answers: bool) -> Iterator[str]:
    one, other = values.schema, accepted.schema
    if not _is_kind(one, other):
        yield f"{path}: {_name(one)} in place of {_name(other)}"
        return
    yield from _enumeration(one, other, path, answers=answers)
    for name in _KIND_OF_FORMAT:
        if name in other and one.get(name) != other[name]:
            yield f"{path}: the {name} {one.get(name)} in place of {other[name]}"
    for name in _LOWER:
        if name in other and one.get(name, float("-inf")) < other[name]:
            yield f"{path}: the {name} {one.get(name)} in place of {other[name]}"
    for name in _UPPER:
        if name in other and one.get(name, float("inf")) > other[name]:
            yield f"{path}: the {name} {one.get(name)} in place of {other[name]}"
    if "items" in other:
        yield from misfits(values.of(one.get("items", {})), accepted.of(other["items"]), f"{path}[]", answers=answers)
    yield from _members(values, accepted, path, answers=answers)


def _is_kind(one: Schema, other: Schema) -> bool:
    before, after = one.get("type"), other.get("type")
    return after is None or before == after or (before, after) == ("integer", "number")


def _enumeration(one: Schema, other: Schema, path: str, *, answers: bool) -> Iterator[str]:
    listed, known = _listed(one), _listed(other)
    if known is None:
        return
    if listed is None:
        yield f"{path}: any value in place of {', '.join(map(str, known))}"
        return
    for value in listed:
        if value not in known:
            yield f"{path}: the value {value} is new" if answers else f"{path}: the value {value} is not accepted"
    if answers:
        for value in known:
            if value not in listed:
                yield f"{path}: the value {value} is gone"


def _listed(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _members(values: Schemas, accepted: Schemas, path: str, *, answers: bool) -> Iterator[str]:
    have, known = values.schema.get("properties", {}), accepted.schema.get("properties", {})
    for name in accepted.schema.get("required", []):
        if name not in values.schema.get("required", []):
            yield f"{path}.{name} may be missing" if answers else f"{path}.{name} is now required"
    is_closed = accepted.schema.get("additionalProperties") is False
    for name in sorted(have.keys() | known.keys()):
        if name in have and name in known:
            yield from misfits(values.of(have[name]), accepted.of(known[name]), f"{path}.{name}", answers=answers)
        elif (name in have and is_closed) or (name in known and answers and name not in have):
            yield f"{path}.{name} is gone"
    more, others = values.schema.get("additionalProperties"), accepted.schema.get("additionalProperties")
    if isinstance(more, dict) and isinstance(others, dict):
        yield from misfits(values.of(more), accepted.of(others), f"{path}.*", answers=answers)


def _name(schema: Schema) -> str:
    listed = _listed(schema)
    return str(schema.get("title") or (listed and " or ".join(map(str, listed))) or schema.get("type", "any value"))
