"""Runtime expressions and simple conditions of Arazzo, such as `$response.body#/status == 'PAID'`."""

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx

_EMBEDDED = re.compile(r"\{(\$[^}]+)\}")
_CONDITION = re.compile(r"(\$\S+) (==|!=|<=|>=|<|>) (.+)")
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Values:
    """What expressions may name. `workflows` and `steps` have the outputs of those that are done."""

    inputs: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]
    workflows: Mapping[str, Mapping[str, Any]]
    answer: httpx.Response | None = None

    def after(self, step_id: str, outputs: Mapping[str, Any]) -> "Values":
        return replace(self, steps={**self.steps, step_id: outputs}, answer=None)

    def answered(self, response: httpx.Response) -> "Values":
        return replace(self, answer=response)

    @property
    def response(self) -> httpx.Response:
        if self.answer is None:
            raise LookupError("there is no response yet")
        return self.answer


def resolved(part: Any, values: Values) -> Any:
    """The part with its expressions replaced: a text that is one expression by its value, embedded ones as text."""
    if isinstance(part, Mapping):
        return {name: resolved(value, values) for name, value in part.items()}
    if isinstance(part, list):
        return [resolved(each, values) for each in part]
    if not isinstance(part, str):
        return part
    if part.startswith("$"):
        return _value(part, values)
    return _EMBEDDED.sub(lambda found: str(_value(found[1], values)), part)


def holds(condition: str, values: Values) -> bool:
    """Raises `ValueError` for a condition that is not simple."""
    found = _CONDITION.fullmatch(condition)
    if found is None:
        raise ValueError(f"not a simple condition: {condition}")
    expression, comparison, literal = found.groups()
    try:
        expected = _value(literal, values) if literal.startswith("$") else json.loads(literal.replace("'", '"'))
    except json.JSONDecodeError:
        raise ValueError(f"not a simple condition: {condition}") from None
    try:
        return _COMPARISONS[comparison](_value(expression, values), expected)
    except (LookupError, TypeError):
        return False


def _value(expression: str, values: Values) -> Any:
    """Raises `LookupError` for what is not there."""
    source, _, rest = expression.removeprefix("$").partition(".")
    if source == "statusCode":
        return values.response.status_code
    if source == "inputs":
        return values.inputs[rest]
    if source in ("steps", "workflows"):
        name, _, member = rest.partition(".outputs.")
        return (values.steps if source == "steps" else values.workflows)[name][member]
    if rest.startswith("header."):
        return values.response.headers[rest.removeprefix("header.")]
    return _at(values.response.json(), rest.partition("#")[2])


def _at(document: Any, pointer: str) -> Any:
    """The part at a JSON Pointer (RFC 6901)."""
    for name in pointer.split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document
