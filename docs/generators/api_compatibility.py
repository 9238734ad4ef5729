"""Compatibility check of OpenAPI documents: which changes would break a client of the old document (ADR 34)."""

from collections.abc import Iterator, Mapping
from typing import Any

from generators.schema_fit import Parts, Schemas, misfits

Document = Mapping[str, Any]
_NOT_METHODS = {"servers", "summary", "description", "parameters"}


def breaking_changes(old: Document, new: Document) -> list[str]:
    """Everything that a client of the old document relies on and the new one lacks."""
    changes = []
    for path, item in old["paths"].items():
        for method, operation in item.items():
            if method in _NOT_METHODS:
                continue
            name = f"{method.upper()} {path}"
            changed = new["paths"].get(path, {}).get(method)
            if changed is None:
                changes.append(f"{name} is gone")
            else:
                changes += [f"{name}: {each}" for each in _Comparison(old, new).changes(operation, changed)]
    return changes


class _Comparison:
    """Compares operations. A request that was valid must stay valid, and an answer must be one that was documented."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = Parts(old), Parts(new)

    def changes(self, old: Document, new: Document) -> Iterator[str]:
        if old["operationId"] != new["operationId"]:
            yield f"the operation id {old['operationId']} is now {new['operationId']}"
        if not _schemes(new) >= _schemes(old):
            yield "a way to authenticate is gone"
        yield from self._parameters(old, new)
        yield from self._body(old.get("requestBody"), new.get("requestBody"))
        for status, response in old["responses"].items():
            if status not in new["responses"]:
                yield f"the status {status} is gone"
            else:
                yield from self._response(
                    status, self._old.resolved(response), self._new.resolved(new["responses"][status])
                )

    def _parameters(self, old: Document, new: Document) -> Iterator[str]:
        before, after = _by_name(old), _by_name(new)
        for name, parameter in before.items():
            if name not in after:
                yield f"the parameter {name} is gone"
            else:
                if after[name].get("required") and not parameter.get("required"):
                    yield f"the parameter {name} is now required"
                yield from self._request(name, parameter["schema"], after[name]["schema"])
        for name, parameter in after.items():
            if name not in before and parameter.get("required"):
                yield f"the new parameter {name} is required"

    def _body(self, old: Document | None, new: Document | None) -> Iterator[str]:
        if new is not None and new.get("required") and not (old and old.get("required")):
            yield "a body is now required"
        for kind, content in (old or {}).get("content", {}).items():
            if kind not in (new or {}).get("content", {}):
                yield f"a body of the type {kind} is no longer accepted"
            elif new is not None:
                yield from self._request("body", content["schema"], new["content"][kind]["schema"])

    def _request(self, name: str, old: Document, new: Document) -> Iterator[str]:
        return misfits(Schemas(old, self._old), Schemas(new, self._new), name, answers=False)

    def _response(self, status: str, old: Document, new: Document) -> Iterator[str]:
        for name in old.get("headers", {}):
            if name not in new.get("headers", {}):
                yield f"the header {name} of {status} is gone"
        for kind, content in old.get("content", {}).items():
            if kind not in new.get("content", {}):
                yield f"{status} is no longer answered as {kind}"
            else:
                after = Schemas(new["content"][kind]["schema"], self._new)
                yield from misfits(after, Schemas(content["schema"], self._old), status, answers=True)


def _by_name(operation: Document) -> dict[str, Document]:
    return {parameter["name"]: parameter for parameter in operation.get("parameters", [])}


def _schemes(operation: Document) -> frozenset[str]:
    """The schemes of which one is enough; an open operation accepts every caller."""
    return frozenset(name for way in operation.get("security", []) for name in way) or frozenset(["none"])
