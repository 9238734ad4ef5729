"""Examples of requests and answers in `docs/api/examples`, and their place in the OpenAPI documents (ADR 34).

A file has the examples of one operation, which several documents may have. `errors.yaml` has one for each error code
that every route can answer. A value `$paid_order.id` is a member of an object that exists before the request is sent;
tests/support/api_examples makes it. The answers are written by the test that sends the requests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

FOLDER = Path(__file__).parents[1] / "api" / "examples"
ERRORS = FOLDER / "errors.yaml"


@dataclass(frozen=True, slots=True)
class Example:
    """`by` is the caller's role. `answer` is the body, None for none or before it is recorded."""

    name: str
    summary: str
    status: int
    by: str | None = None
    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    answer: Any = None


@cache
def examples_of(operation_id: str, service: str = "") -> tuple[Example, ...]:
    """Those of a service's own file, `getMetrics-refunds.yaml`, where it has one."""
    file = example_file(operation_id, service)
    found: Mapping[str, Any] = yaml.load(file.read_text(), Loader=yaml.CSafeLoader) if file.exists() else {}
    return tuple(Example(name, **members) for name, members in found.items())


def example_file(operation_id: str, service: str = "") -> Path:
    own_file = FOLDER / f"{operation_id}-{service}.yaml"
    return own_file if own_file.exists() else FOLDER / f"{operation_id}.yaml"


@cache
def shared_errors() -> dict[str, dict[str, Any]]:
    """The examples of errors by the names of their schemas, such as `ConflictError`."""
    found: dict[str, dict[str, Any]] = yaml.load(ERRORS.read_text(), Loader=yaml.CSafeLoader)
    return found


def shown(value: Any) -> Any:
    """A request's part as the document shows it: a member of an existing object is an id that is always the same."""
    if isinstance(value, dict):
        return {name: shown(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shown(part) for part in value]
    return str(stable_id(value)) if isinstance(value, str) and value.startswith("$") else value


_STABLE = dict.fromkeys(("position", "version", "expires", "size"), "7") | {
    "external_id": "shop-4711",
    "prefix": "ak_client_1a2b3c4d",
    "payment_reference": "pi_ORD-2026-000001",
    "transfer": "transfer 2026-11-30/7",
    "signature": "t=1796032800,v1=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


def stable_id(reference: str) -> str:
    """Of `$paid_order.id`; a place in the outbox is a number, a key's prefix a word."""
    member = reference.rpartition(".")[2]
    if member in _STABLE:
        return _STABLE[member]
    return str(uuid5(NAMESPACE_URL, reference)) if reference.endswith("id") else member


def add_examples(operation: dict[str, Any], service: str = "") -> None:
    """Put an operation's examples into its part of a document; those of other errors are references."""
    examples = examples_of(operation["operationId"], service)
    accepted = [example for example in examples if example.status < 400]
    for kind in operation.get("requestBody", {}).get("content", {}).values():
        kind["examples"] = {
            each.name: {"summary": each.summary, "value": shown(each.body)}
            for each in accepted
            if each.body is not None
        }
    for parameter in operation.get("parameters", []):
        _show_parameter(parameter, accepted)
    for status, response in operation["responses"].items():
        of_status = [each for each in examples if str(each.status) == status]
        for media_type, kind in response.get("content", {}).items():
            own = {each.name: _shown_answer(each) for each in of_status if _has_type(each, media_type)}
            shared = {} if own else {name: _reference(name) for name in _error_schemas(kind["schema"])}
            if (own or shared) and "problem+json" not in media_type:
                kind["examples"] = own or shared


def _show_parameter(parameter: dict[str, Any], accepted: list[Example]) -> None:
    for example in accepted:
        sent = {"path": example.path, "query": example.query, "header": example.headers}[parameter["in"]]
        if parameter["name"] in sent:
            parameter["example"] = shown(sent[parameter["name"]])
            return


def _shown_answer(example: Example) -> dict[str, Any]:
    return {"summary": example.summary, "value": example.answer}


def _has_type(example: Example, media_type: str) -> bool:
    """An operation that answers with CSV too has a parameter `format`."""
    return (example.query.get("format") == "csv") == (media_type == "text/csv")


def _error_schemas(schema: Mapping[str, Any]) -> Iterator[str]:
    for each in schema.get("oneOf", [schema]):
        name = each.get("$ref", "").rpartition("/")[2]
        if name in shared_errors():
            yield name


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/examples/{name}"}


def components() -> dict[str, dict[str, Any]]:
    return {name: {"summary": error["summary"], "value": error["answer"]} for name, error in shared_errors().items()}


def as_yaml(examples: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(examples), sort_keys=False, allow_unicode=True, width=110)
