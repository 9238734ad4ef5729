"""Generator of the OpenAPI documents in `docs/api`: `make contracts` writes them from the code (ADR 34).

`openapi.yaml` is for clients: the gateways of orders and returns together. `operators-<service>.yaml` is what operators
call at one service.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import common
import yaml
from common.edge.routing.openapi import ROLES
from generators.api_compatibility import breaking_changes
from generators.api_errors import share_errors
from generators.api_examples import add_examples
from generators.api_examples import components as example_components
from generators.api_prose import CLIENTS, OPERATORS, TAGS, Prose
from generators.http_tables import gateway
from local_stack.services import SERVICES

Document = dict[str, Any]

FOLDER = Path(__file__).parents[1] / "api"
# The documents of the last release, of which no client may break.
RELEASED = FOLDER / "released"
# What the next release changes all the same: each with a line under "Changed" in the changelog.
ANNOUNCED = (
    "refund_status: the value PROCESSING is new",
    "refund_status: the value REVERSED is new",
    "kind: the value MISMATCHED is new",
    "cause: the value OPERATOR is new",
    "state: the value discarded is new",
    *(f"status: the value {value} is new" for value in ("READY", "CALLING", "UNKNOWN", "DECLINED", "HELD", "REVERSED")),
)
GATEWAYS = ("orders", "returns")
# Routes with these tags are called at one service: at the one origin, their addresses would be of both gateways.
TAGS_OF_OPERATORS = frozenset({"Operations", "Audit"})
# Kept without a reference: every error fits the first, and any address may answer the second.
_ALWAYS_SHOWN = ("ErrorResponse", "MethodNotAllowedError")
_PROSE = ("description", "summary", "examples")
_SCHEMA = "#/components/schemas/"


def documents() -> dict[str, Document]:
    """The documents by their file names."""
    return {
        "openapi.yaml": clients_document(),
        **{f"operators-{service}.yaml": operators_document(service) for service in SERVICES},
    }


def clients_document() -> Document:
    parts = [_part(service, lambda operation: TAGS_OF_OPERATORS.isdisjoint(operation["tags"])) for service in GATEWAYS]
    paths: Document = {}
    for service, part in zip(GATEWAYS, parts, strict=True):
        for path, item in part["paths"].items():
            known = paths.setdefault(path, {"servers": [CLIENTS.servers[0]], **item})
            known["servers"].append(_direct_server(service))
    schemas: Document = {}
    for part in parts:
        for name, schema in part["components"]["schemas"].items():
            schemas[name] = _joined(name, schemas[name], schema) if name in schemas else schema
    return _document(CLIENTS, paths, {**parts[0]["components"], "schemas": schemas})


def operators_document(service: str) -> Document:
    """The operators' routes, and for a service without clients all others too."""
    part = _part(
        service, lambda operation: service not in GATEWAYS or not TAGS_OF_OPERATORS.isdisjoint(operation["tags"])
    )
    prose = OPERATORS[service]
    return _document(prose, part["paths"], part["components"], service)


def _direct_server(service: str) -> Document:
    return OPERATORS[service].servers[0]


def _part(service: str, is_wanted: Callable[[Mapping[str, Any]], bool]) -> Document:
    made: Document = gateway(service).openapi()
    paths = {
        path: {method: operation for method, operation in item.items() if is_wanted(operation)}
        for path, item in made["paths"].items()
    }
    return {"paths": {path: item for path, item in paths.items() if item}, "components": made["components"]}


def _joined(name: str, first: Document, second: Document) -> Document:
    """The schema of both gateways. Raises `ValueError` for two schemas of one name, which a client could not use."""
    if first == second:
        return first
    if name == "ErrorResponse":
        codes = [schema["properties"]["error"]["properties"]["code"]["enum"] for schema in (first, second)]
        codes[0][:] = sorted({*codes[0], *codes[1]})
        return first
    if name == "MetricsResponse":  # a direct address has its own counts only
        needed = [each for each in first["required"] if each in second["required"]]
        return {**first, "properties": {**first["properties"], **second["properties"]}, "required": needed}
    raise ValueError(f"orders and returns have different schemas of the name {name}: give one of them another name")


def _document(prose: Prose, paths: Document, components: Document, service: str = "") -> Document:
    tags = dict.fromkeys(tag for operation in operations(paths) for tag in operation["tags"])
    document = {
        "openapi": "3.1.0",
        "info": {"title": prose.title, "version": common.__version__, "description": prose.description},
        "servers": list(prose.servers),
        "tags": [{"name": tag, "description": TAGS[tag]} for tag in tags],
        "paths": paths,
        "components": components,
    }
    names = {*_ALWAYS_SHOWN, *_referenced(paths, components["schemas"])}
    schemas = {name: components["schemas"][name] for name in sorted(names)}
    for operation in operations(paths):
        add_examples(operation, service)
    responses = share_errors(operations(paths))
    for operation in operations(paths):
        operation["description"] = f"{operation.get('description', '')}\n\n{_callers(operation)}"
    shared = {"responses": responses, "schemas": schemas, "examples": example_components()}
    return {**document, "components": {**components, **shared}}


def operations(paths: Mapping[str, Any]) -> Iterator[Document]:
    for item in paths.values():
        yield from (operation for name, operation in item.items() if name != "servers")


def _callers(operation: Document) -> str:
    roles = operation.get(ROLES)
    return "Needs no key." if roles is None else f"Roles: {', '.join(f'`{role}`' for role in roles)}."


def _referenced(part: object, schemas: Mapping[str, Any], known: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names of the schemas that a part of the document needs."""
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith(_SCHEMA):
            name = reference.removeprefix(_SCHEMA)
            return known if name in known else _referenced(schemas[name], schemas, known | {name})
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        known = _referenced(each, schemas, known)
    return known


def as_yaml(document: Document) -> str:
    return yaml.dump(_tidy(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _tidy(part: Any) -> Any:
    """Without what pydantic adds for forms: titles of fields, and whole numbers as 1.0."""
    if isinstance(part, dict):
        return {name: _tidy_member(name, value) for name, value in part.items()}
    if isinstance(part, list):
        return [_tidy(each) for each in part]
    return int(part) if isinstance(part, float) and part.is_integer() else part


def _tidy_member(name: str, value: Any) -> Any:
    if name == "description" and isinstance(value, str):
        return re.sub(r"(?<!\n)\n(?![\n-])", " ", value)  # the line breaks of a docstring; empty lines stay
    if name == "properties":
        return {field: _tidy(_untitled(field, schema)) for field, schema in value.items()}
    return _tidy(value)


def _untitled(field: str, schema: Document) -> Document:
    is_made = schema.get("title") == field.replace("_", " ").title()
    return {name: value for name, value in schema.items() if name != "title"} if is_made else schema


class _Dumper(yaml.SafeDumper):
    """Writes a schema that is used twice two times, and strings of more than one line as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def read(name: str, folder: Path = FOLDER) -> Document:
    document: Document = yaml.load((folder / name).read_text(), Loader=yaml.CSafeLoader)
    return document


def released(document: Document) -> Document:
    """What a later document is compared with: without prose and examples."""
    return {name: _bare(document[name], name) for name in ("openapi", "info", "paths", "components")}


def _bare(part: Any, name: str) -> Any:
    if isinstance(part, dict):
        left_out = () if name == "properties" else _PROSE
        return {member: _bare(value, member) for member, value in part.items() if member not in left_out}
    return [_bare(each, name) for each in part] if isinstance(part, list) else part


def unannounced_changes(name: str, document: Document) -> list[str]:
    """What would surprise a client of the last release."""
    return [each for each in breaking_changes(read(name, RELEASED), document) if not each.endswith(ANNOUNCED)]


def main(release: bool) -> int:
    """Write every document. One that would break a client of the last release is not written: the exit code is 1."""
    broken = False
    for name, document in documents().items():
        changes = [] if release else unannounced_changes(name, document)
        if changes:
            broken = True
            sys.stderr.write(
                f"{name} breaks clients of the last release:\n" + "".join(f"  {each}\n" for each in changes)
            )
            continue
        (FOLDER / name).write_text(as_yaml(document))
        if release:
            (RELEASED / name).write_text(as_yaml(released(document)))
    return int(broken)


if __name__ == "__main__":
    sys.exit(main(release="--release" in sys.argv))
