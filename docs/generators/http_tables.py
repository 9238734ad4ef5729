"""Markdown tables of a service's routes and of the fields of their bodies, from its OpenAPI document."""

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from common.access.auth import Role
from common.access.policy import Ownership, Policy
from common.edge.routing.guarded_route import GuardedRoute
from common.health import Health
from common.service import Runtime, Service

# An enumeration with more values than this is described in words.
_LONG_ENUMERATION = 12
# The routes that every service has.
COMMON = ("/api/v1/health", "/api/v1/metrics", "/livez", "/readyz", "/metrics")
# Those for operators and, of the audit trail, for managers.
OPERATORS = ("/api/v1/ops/", "/api/v1/audit")
FILES_OF_DOCS = "/static-offline-docs/"

Schema = Mapping[str, Any]


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(columns), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def service(name: str) -> Service[Any]:
    definition: Service[Any] = importlib.import_module(f"{name}.app").SERVICE
    return definition


def gateway(name: str) -> Any:
    """The service's application, without servers: only its routes are read."""
    settings = service(name).settings(
        database_url="postgresql://nowhere", kafka_bootstrap="nowhere", link_signing_key="-"
    )
    return service(name).gateway(Runtime(service(name), settings, cast(Any, None), Health(name, settings)))


def routes(name: str, is_wanted: Callable[[str], bool]) -> str:
    app = gateway(name)
    rows = []
    for path, method, roles in _endpoints(app):
        if is_wanted(path):
            operation = app.openapi()["paths"].get(path, {}).get(method.lower(), {})
            rows.append([f"`{method} {path}`", _roles(roles), _input(operation), _output(operation)])
    return table(["route", "roles", "parameters and body", "response"], rows)


def is_own(path: str) -> bool:
    return path not in COMMON and not path.startswith((*OPERATORS, FILES_OF_DOCS))


def _endpoints(app: Any) -> Iterator[tuple[str, str, frozenset[Role] | None]]:
    for route in app.routes:
        if isinstance(route, GuardedRoute):
            [method] = route.methods or {""}
            yield route.path, method, route.policy.roles


def access(name: str, is_wanted: Callable[[str], bool]) -> str:
    """The policy of each route, and of each target state of a route that changes one."""
    rows = []
    for route in gateway(name).routes:
        if isinstance(route, GuardedRoute) and is_wanted(route.path):
            [method] = route.methods or {""}
            for target in route.policy.targets or (None,):
                label = f"`{method} {route.path}`" + (f" `{target}`" if target else "")
                rows.append([label, *(_verdicts(route.policy, role, target) for role in Role)])
    return table(["route", *(f"`{role}`" for role in Role)], rows)


def _verdicts(policy: Policy, role: Role, target: str | None) -> str:
    own, foreign = (policy.verdict(role, each, target) for each in (Ownership.OWN, Ownership.FOREIGN))
    return own if own is foreign else f"{own}; foreign {foreign}"


def _roles(roles: frozenset[Role] | None) -> str:
    if roles is None:
        return "none needed"
    named = {frozenset(Role): "every role", Role.staff(): "every role except `client`"}
    return named.get(roles) or ", ".join(f"`{role}`" for role in Role if role in roles)


def _input(operation: Schema) -> str:
    query = [f"`?{each['name']}`" for each in operation.get("parameters", []) if each["in"] == "query"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return ", ".join([*query, *([_link(body)] if body else [])]) or "-"


def _output(operation: Schema) -> str:
    for status, response in operation.get("responses", {}).items():
        if status.startswith("2"):
            content = response.get("content", {})
            schema = content.get("application/json", {}).get("schema") or {}
            body = _link(schema) if schema else next((kind for kind in content if "json" not in kind), "")
            return f"{status} {body}".strip()
    return "200"


def _link(schema: Schema) -> str:
    name = _name(schema)
    return f"[{name}](#{name.lower()})" if name else _type(schema, {})


def _name(schema: Schema) -> str:
    reference = str(schema.get("$ref", ""))
    return reference.rpartition("/")[2] if "/headers/" not in reference else ""


def bodies(service_name: str, is_wanted: Callable[[str], bool] = is_own) -> str:
    """The fields of the request and response bodies: requests first, each body before its parts."""
    document = gateway(service_name).openapi()
    schemas: Mapping[str, Schema] = document["components"]["schemas"]
    operations = [each for path, methods in document["paths"].items() if is_wanted(path) for each in methods.values()]
    requests = _reached([each.get("requestBody") for each in operations], schemas)
    answers = _reached([_answers(each) for each in operations], schemas)
    is_request = {**dict.fromkeys(answers, False), **dict.fromkeys(requests, True)}
    in_order = sorted(is_request, key=lambda name: not is_request[name])
    return "\n".join(f"#### {name}\n\n{fields(schemas[name], schemas, required=is_request[name])}" for name in in_order)


def _answers(operation: Schema) -> list[Schema]:
    return [response for status, response in operation["responses"].items() if status.startswith("2")]


def _reached(part: object, schemas: Mapping[str, Schema]) -> Iterator[str]:
    """The names of the objects that a part of the document refers to, and of those that these refer to."""
    if isinstance(part, dict):
        name = _name(part)
        if {"properties", "oneOf"} & schemas.get(name, {}).keys():
            yield name
        yield from _reached(schemas[name] if name else list(part.values()), schemas)
    elif isinstance(part, list):
        for each in part:
            yield from _reached(each, schemas)


def fields(schema: Schema, schemas: Mapping[str, Schema], *, required: bool = True) -> str:
    """A table of the fields; of a choice of objects, one for each."""
    if "oneOf" in schema:
        return "\n".join(f"{each['title']}:\n\n{fields(each, schemas, required=required)}" for each in schema["oneOf"])
    needed = schema.get("required", [])
    rows = [
        [f"`{name}`", _type(each, schemas), *([_whether(name, each, needed)] if required else [])]
        for name, each in schema["properties"].items()
    ]
    return table(["field", "type", *(["required"] if required else [])], rows)


def _whether(name: str, schema: Schema, needed: Iterable[str]) -> str:
    if name in needed:
        return "yes"
    default = schema.get("default")
    return "no" if default is None else f"no: `{default}`"


def _type(schema: Schema, schemas: Mapping[str, Schema]) -> str:
    if "anyOf" in schema:
        kinds = [_type(each, schemas) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join([*dict.fromkeys(kinds), *(["null"] if {"type": "null"} in schema["anyOf"] else [])])
    if _name(schema):
        target = schemas.get(_name(schema), {})
        return _type(target, schemas) if "enum" in target else _link(schema)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        values = schema["enum"]
        is_currency = len(values) > _LONG_ENUMERATION and all(re.fullmatch("[A-Z]{3}", each) for each in values)
        return "a code of ISO 4217" if is_currency else " ".join(f"`{each}`" for each in values)
    if "prefixItems" in schema:
        return f"({', '.join(_type(each, schemas) for each in schema['prefixItems'])})"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'], schemas)}{_limits(schema)}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object{_limits(schema)}; each value: {_type(schema['additionalProperties'], schemas)}"
    kind = {"uuid": "UUID", "date-time": "time", None: schema.get("type", "object")}
    return f"{kind.get(schema.get('format'), schema.get('type'))}{_limits(schema)}"


def _limits(schema: Schema) -> str:
    words = {
        "minimum": "≥ {}",
        "exclusiveMaximum": "< {}",
        "maximum": "≤ {}",
        "maxLength": "at most {} characters",
        "minItems": "at least {}",
        "maxItems": "at most {}",
        "maxProperties": "at most {} names",
    }
    limits = [text.format(f"{schema[name]:,.0f}") for name, text in words.items() if name in schema]
    return f", {', '.join(limits)}" if limits else ""
