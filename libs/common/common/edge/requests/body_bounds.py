"""A bound on validation: fields that a model does not have are dropped before it, except for the first 100.

Pydantic reports each unknown field. For 1 MiB of them that blocked the event loop for 0.8 s (ADR 21).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

# All fields of a smaller body are validated within some milliseconds.
THINNED_ABOVE_BYTES = 4096
UNKNOWN_FIELDS_VALIDATED = 100


def body_model(annotation: Any) -> type[BaseModel] | None:
    """The annotation of a body if it is a model."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def drop_unknown_fields(document: Any, model: type[BaseModel]) -> int:
    """Leave at most `UNKNOWN_FIELDS_VALIDATED` fields that `model` and the models inside it do not have, counted over
    all objects of `document`. Returns the number of dropped fields: each would have been a problem.

    A list that is longer than its model allows is not searched: it is refused without validation of its items.
    """
    number = 0
    for each, known in _objects(document, model):
        unknown = [name for name in each if name not in known]
        for name in unknown[max(0, UNKNOWN_FIELDS_VALIDATED - number) :]:
            del each[name]
        number += len(unknown)
    return max(0, number - UNKNOWN_FIELDS_VALIDATED)


@dataclass(frozen=True, slots=True)
class _Inner:
    """The content of a field: an object of `model`, or a list of at most `max_length`."""

    model: type[BaseModel]
    in_list: bool
    max_length: int | None

    def objects(self, value: Any) -> list[Any]:
        if not self.in_list:
            return [value]
        is_short = isinstance(value, list) and (self.max_length is None or len(value) <= self.max_length)
        return value if is_short else []


def _objects(document: Any, model: type[BaseModel]) -> Iterator[tuple[dict[str, Any], Mapping[str, _Inner | None]]]:
    """The objects that refuse unknown fields, each before those inside it, with the fields of its model."""
    if not isinstance(document, dict):
        return
    fields = _fields(model)
    if model.model_config.get("extra") == "forbid":
        yield document, fields
    for name, inner in fields.items():
        if inner is not None and name in document:
            for each in inner.objects(document[name]):
                yield from _objects(each, inner.model)


@cache
def _fields(model: type[BaseModel]) -> Mapping[str, _Inner | None]:
    """The fields by their names in JSON, each with the type of its objects."""
    return {field.alias or name: _inner(field) for name, field in model.model_fields.items()}


def _inner(field: FieldInfo) -> _Inner | None:
    annotation, is_union = field.annotation, get_origin(field.annotation) in (Union, UnionType)
    for each in get_args(annotation) if is_union else (annotation,):
        in_list = get_origin(each) is list
        model = body_model(get_args(each)[0] if in_list else each)
        if model is not None:
            return _Inner(
                model, in_list, next((m.max_length for m in field.metadata if hasattr(m, "max_length")), None)
            )
    return None
