"""Checks of answers against an OpenAPI document, and their form as examples, without what differs from run to run."""

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
from generators.schema_fit import Parts
from jsonschema import Draft202012Validator

# Headers that an answer may lack although its status documents them; RateLimit: only where there is a limit.
_OPTIONAL = {"RateLimit-Policy", "RateLimit", "Idempotency-Replayed", "Accept-Encoding", "Link"}
_OPTIONAL_AT = {409: {"Retry-After"}, 412: {"ETag"}}
# Headers that must not be sent without being documented.
_NOTED = ("Location", "ETag", "Link", "Retry-After", "WWW-Authenticate", "Idempotency-Replayed", "RateLimit")
# A number or a word of so few characters may occur in other texts.
_SHORT = 4
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_LOG = "articurated/orders/73ff2242-dd52-50a3-82b0-20a1c41993e4"
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"), "2026-11-29T10:00:00Z"),
    (re.compile(r"(ORD|INV)-\d{4}-\d{6,}"), r"\1-2026-000001"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://127.0.0.1:8003"),
    (re.compile(r"expires=\d+&signature=\w+"), "expires=1796032800&signature=5c1a"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    (re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]"), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    (re.compile(r"\b((?:ak_)?(?:client|warehouse|payments|manager|ops))_[0-9a-f]{8,12}\b"), r"\1_1a2b3c4d"),
    (re.compile(r"re_\w{8,}"), "re_3Nd2KqLkdIwHu7ix"),
    (re.compile(r"payment:\d+"), "payment:1"),
    (re.compile(r"articurated/\w+/[0-9a-f-]{36}"), _LOG),
    (re.compile(r"\b[\w-]{80,}"), "bmV4dCByb3c"),  # the cursor of a row in CSV
)
_BY_NAME = {"next_cursor": "bmV4dCBwYWdl", "key": "client_1a2b3c4d.the-secret", "avg_response_time_ms": 3.1}
_BY_NAME |= {"p95_response_time_ms": 9.4, "worker": "worker-1"}


# Checkpoints of the audit log, without a valid signature.
_NOTE = _LOG + "\n{}\nn4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\n\n— articurated/orders …\n"
_BY_NAME |= {"checkpoint": _NOTE.format(12), "checkpoints": _NOTE.format(12), "later": _NOTE.format(12)}
_BY_NAME |= {"earlier": _NOTE.format(7), "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}
_BY_NAME |= {"cursor": "bmV4dCByb3c", "index": 5, "unsealed_rows": 0}


class Documented:
    """The answers that one document describes."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._parts = Parts(document)

    def response(self, operation: Mapping[str, Any], status: int) -> Mapping[str, Any]:
        return self._parts.resolved(operation["responses"][str(status)])

    def resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._parts.resolved(part)

    def problems(self, operation: Mapping[str, Any], response: httpx.Response) -> list[str]:
        """What the document does not permit: the status, the content type, a header, the body."""
        status = response.status_code
        if str(status) not in operation["responses"]:
            return [f"the status {status} is not documented: {response.text[:500]}"]
        described = self.response(operation, status)
        media_type = response.headers.get("content-type", "").partition(";")[0]
        contents = described.get("content", {})
        found = [*self._header_problems(described, response)]
        if contents and media_type not in contents:
            found.append(f"the content type {media_type} is not documented")
        elif "json" in media_type and "ndjson" not in media_type:
            found += self.body_problems(contents[media_type]["schema"], response.json())
        if not contents and response.content:
            found.append(f"{status} is documented without a body")
        return found

    def body_problems(self, schema: Mapping[str, Any], body: Any) -> list[str]:
        validator = Draft202012Validator({**schema, "components": self._parts.document["components"]})
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]

    def _header_problems(self, described: Mapping[str, Any], response: httpx.Response) -> list[str]:
        documented = described.get("headers", {})
        optional = _OPTIONAL | _OPTIONAL_AT.get(response.status_code, set())
        missing = [name for name in documented if name not in response.headers and name not in optional]
        unknown = [name for name in _NOTED if name in response.headers and name not in documented]
        return [
            *(f"the header {name} is documented and missing" for name in missing),
            *(f"the header {name} is not documented" for name in unknown),
        ]


def recorded(response: httpx.Response, known: Mapping[str, str]) -> Any:
    """The body as an example: ids, times and numbers that differ from run to run are always the same.

    `known` has the ids of the request, and those by which the document shows them.
    """
    media_type = response.headers.get("content-type", "")
    if not response.content:
        return None
    form = _Form({each: each for each in _UUID.findall(_sent(response.request))} | dict(known))
    if media_type.startswith(("application/json", "application/problem+json")):
        return form.of(json.loads(response.content))
    if media_type.startswith("application/x-ndjson"):
        return form.lines(response.text)
    is_text = media_type.startswith("text/")
    return form.text(response.text) if is_text else "%PDF-1.4 …"


def _sent(request: httpx.Request) -> str:
    return f"{request.url} {request.content.decode(errors='replace')}"


class _Form:
    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = dict(known)
        self._stable = set(known.values())

    def of(self, part: Any, name: str = "") -> Any:
        if isinstance(part, dict):
            return {member: self.of(value, member) for member, value in part.items()}
        if isinstance(part, list):
            return [self.of(each, name) for each in part]
        if name in _BY_NAME and type(part) is type(_BY_NAME[name]):
            return _BY_NAME[name]
        if name == "position" and str(part) in self._known:
            return int(self._known[str(part)])
        return self.text(part) if isinstance(part, str) else part

    def lines(self, text: str) -> str:
        """JSON texts; of those that have a `kind`, the first of each."""
        items = [json.loads(line) for line in text.splitlines()]
        kinds = [item.get("kind", number) for number, item in enumerate(items)]
        shown = [item for number, item in enumerate(items) if kinds.index(kinds[number]) == number]
        return "".join(f"{json.dumps(self.of(each), ensure_ascii=False, separators=(',', ':'))}\n" for each in shown)

    def text(self, text: str) -> str:
        for real, stable in self._known.items():
            text = text.replace(real, stable) if len(real) > _SHORT else text
        for pattern, constant in _VARYING:
            text = pattern.sub(constant, text)
        return _UUID.sub(lambda found: self._id(found[0]), text)

    def _id(self, found: str) -> str:
        """The ids of other objects are numbered."""
        if found in self._stable:
            return found
        stable = str(uuid5(NAMESPACE_URL, f"object {len(self._stable)}"))
        self._known[found] = stable
        self._stable.add(stable)
        return stable
