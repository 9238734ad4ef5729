"""Requests that are sent for the examples of an operation: its own, and one for each error that every route has."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from common.access.auth import Role
from generators.api_examples import Example, stable_id
from support.api_examples.objects import Objects

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
LARGEST_BODY = 1024 * 1024
_ROLES = frozenset(Role)
_ANOTHER_VERSION = '"999"'


@dataclass(frozen=True)
class Request:
    """`by` is a role, None for no key. `known` has the ids that the document shows in place of the real ones.
    With `repeats_key`, the key is sent twice, which is ambiguous."""

    method: str
    path: str
    by: str | None
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeats_key: bool = False
    known: Mapping[str, str] = field(default_factory=dict)

    def but(self, **changes: Any) -> "Request":
        return replace(self, **changes)

    def with_headers(self, **headers: str) -> "Request":
        new = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **new})


@dataclass(frozen=True)
class Operation:
    service: str
    method: str
    path: str
    document: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.document["operationId"])

    @property
    def roles(self) -> list[str]:
        return list(self.document.get("x-roles", []))

    async def request(self, example: Example, objects: Objects) -> Request:
        """The example's request, for which its objects are made. A repeat has another Idempotency-Key."""
        resolve = _Resolver(objects)
        path = self.path
        for name, value in example.path.items():
            path = path.replace(f"{{{name}}}", str(await resolve(value)))
        headers = {name: str(await resolve(value)) for name, value in example.headers.items()}
        if "Idempotency-Key" in headers:
            headers["Idempotency-Key"] = str(uuid4())
        body = None if example.body is None else json.dumps(await resolve(example.body)).encode()
        query = {name: await resolve(value) for name, value in example.query.items()}
        by = example.by or (self.roles[-1] if self.roles else None)
        return Request(self.method, path, by, query, headers, body, known=resolve.known)

    def erroneous(self, code: str, valid: Request) -> Request:
        """The valid request with one fault, so that the answer has this error."""
        fault = getattr(self, f"_{code}", None)
        assert fault is not None, (
            f"{self.id} documents {code}: add an example of it to docs/api/examples/{self.id}.yaml"
        )
        made: Request = fault(valid)
        return made

    def _BadRequest(self, valid: Request) -> Request:  # noqa: N802 - the names of schemas
        return valid.but(repeats_key=True) if self.method == "GET" else _json(valid, b'{"reason": ')

    def _Unauthenticated(self, valid: Request) -> Request:  # noqa: N802
        return valid.but(by=None)

    def _Forbidden(self, valid: Request) -> Request:  # noqa: N802
        return valid.but(by=min(_ROLES - set(self.roles)))

    def _NotFound(self, valid: Request) -> Request:  # noqa: N802
        before, _, after = self.path.partition("{")
        unknown = UNKNOWN_ID if "_id}" in after else "9000000000"
        return valid.but(path=before + unknown + after.partition("}")[2])

    def _PreconditionFailed(self, valid: Request) -> Request:  # noqa: N802
        return valid.with_headers(If_Match=_ANOTHER_VERSION)

    def _PayloadTooLarge(self, valid: Request) -> Request:  # noqa: N802
        return _json(valid, b" " * (LARGEST_BODY + 1))

    def _UnsupportedMediaType(self, valid: Request) -> Request:  # noqa: N802
        return _json(valid, valid.body or b"text").with_headers(Content_Type="text/plain")

    def _Validation(self, valid: Request) -> Request:  # noqa: N802
        if valid.body is None:
            return valid.but(query={**valid.query, "colour": "blue"})
        return _json(valid, json.dumps({**json.loads(valid.body), "colour": "blue"}).encode())


def _json(request: Request, body: bytes) -> Request:
    return request.but(body=body)


class _Resolver:
    """Replaces `$paid_order.id` by the member of an object, which is made once for each request."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._made: dict[str, Mapping[str, Any]] = {}
        self.known: dict[str, str] = {}

    async def __call__(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: await self(part) for name, part in value.items()}
        if isinstance(value, list):
            return [await self(part) for part in value]
        return await self._member(value) if isinstance(value, str) and value.startswith("$") else value

    async def _member(self, reference: str) -> Any:
        name, _, member = reference.removeprefix("$").partition(".")
        if name not in self._made:
            self._made[name] = await self._objects.make(name)
        found = self._made[name][member]
        self.known[str(found)] = stable_id(reference)
        return found
