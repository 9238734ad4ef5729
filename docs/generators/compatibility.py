"""Compatibility check of event schemas: which changes would break a consumer of the old schema (ADR 5)."""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_PROSE = {"title", "description", "$schema", "$id", "$defs", "default"}
_COMPARED_DEEPLY = {"properties", "required", "items", "anyOf"}


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Every difference except an added field with a default: with it, events sent earlier can still be read."""
    return list(_compare(old, new, old, new, "data"))


def as_first_published(schema: Schema) -> dict[str, Any]:
    """The schema with only the first version's fields required: fields that were added later have a default."""
    parts = {name: as_first_published(part) for name, part in schema.get("$defs", {}).items()}
    needed = [name for name in schema.get("required", []) if "default" not in schema["properties"][name]]
    return {**schema, "$defs": parts, "required": needed}


def _compare(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    if _plain(old) != _plain(new):
        yield f"{path} was {_plain(old)} and is {_plain(new)}"
        return
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before.keys() - after.keys():
        yield f"{path}.{name} is gone"
    for name in after.keys() - before.keys():
        if "default" not in after[name]:
            yield f"{path}.{name} is new and has no default"
    for name in before.keys() & after.keys():
        yield from _compare(before[name], after[name], old_root, new_root, f"{path}.{name}")
    for name in set(old.get("required", [])) - set(new.get("required", [])):
        yield f"{path}.{name} may be missing"
    if "items" in old:
        yield from _compare(old["items"], new["items"], old_root, new_root, f"{path}[]")
    for before, after in zip(old.get("anyOf", []), new.get("anyOf", []), strict=True):
        yield from _compare(before, after, old_root, new_root, path)


def _resolved(schema: Schema, root: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    part: Schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return part


def _plain(schema: Schema) -> dict[str, Any]:
    """The members that must be equal, plus which of the deeply compared members are present."""
    deep = {
        name: len(schema["anyOf"]) if name == "anyOf" else True
        for name in _COMPARED_DEEPLY - {"required"}
        if name in schema
    }
    return {name: value for name, value in schema.items() if name not in _PROSE | _COMPARED_DEEPLY} | deep
