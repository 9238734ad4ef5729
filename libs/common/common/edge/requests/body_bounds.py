"""A bound on validation: fields that a model does not have are dropped before it, except for the first 100.

Pydantic reports each unknown field. For 1 MiB of them that blocked the event loop for 0.8 s (ADR 0021).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

# All fields of a smaller body are validated within some milliseconds.
THINNED_ABOVE_BYTES = 4096
UNKNOWN_FIELDS_VALIDATED = 100


def body_model(annotation: Any) -> type[BaseModel] | None:
    """The annotation of a body if it is a model."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


@dataclass(slots=True)
class _Allowance:
    unknown_fields: int = UNKNOWN_FIELDS_VALIDATED
    dropped: int = 0


def drop_unknown_fields(document: Any, model: type[BaseModel]) -> int:
    """Leave at most `UNKNOWN_FIELDS_VALIDATED` fields that `model` and the models inside it do not have, counted over
    all objects of `document`. Returns the number of dropped fields: each would have been a problem.

    A list that is longer than its model allows is not searched: it is refused without validation of its items.
    """
    allowance = _Allowance()
    _thin(document, model, allowance)
    return allowance.dropped


def _thin(document: Any, model: type[BaseModel], allowance: _Allowance) -> None:
    if not isinstance(document, dict):
        return
    fields = _fields(model)
    if model.model_config.get("extra") == "forbid" and not document.keys() <= fields.keys():
        _drop(document, fields, allowance)
    for name, inner in fields.items():
        if inner is not None and name in document:
            for each in inner.objects(document[name]):
                _thin(each, inner.model, allowance)


def _drop(document: dict[str, Any], known: Mapping[str, object], allowance: _Allowance) -> None:
    unknown = [name for name in document if name not in known]
    remaining = min(allowance.unknown_fields, len(unknown))
    for name in unknown[remaining:]:
        del document[name]
    allowance.unknown_fields -= remaining
    allowance.dropped += len(unknown) - remaining


@dataclass(frozen=True, slots=True)
class _Inner:
    """A field with objects of `model`: one, or a list of at most `max_length`."""

    model: type[BaseModel]
    in_list: bool
    max_length: int | None

    def objects(self, value: Any) -> list[Any]:
        if not self.in_list:
            return [value]
        is_short = isinstance(value, list) and (self.max_length is None or len(value) <= self.max_length)
        return value if is_short else []


@cache
def _fields(model: type[BaseModel]) -> Mapping[str, _Inner | None]:
    """The fields by their names in JSON, each with the type of its objects."""
    return {
        field.alias or name: _inner(field.annotation, _max_length(field.metadata))
        for name, field in model.model_fields.items()
    }


def _inner(annotation: Any, max_length: int | None) -> _Inner | None:
    for each in _alternatives(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return _Inner(each, False, None)
        if get_origin(each) is list:
            (item,) = get_args(each)
            if isinstance(item, type) and issubclass(item, BaseModel):
                return _Inner(item, True, max_length)
    return None


def _alternatives(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, UnionType):
        yield from get_args(annotation)
    else:
        yield annotation


def _max_length(metadata: list[Any]) -> int | None:
    return next((each.max_length for each in metadata if hasattr(each, "max_length")), None)
