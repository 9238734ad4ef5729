"""Types of the field `metadata` in bodies: texts by name, and changes of them."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from common.edge.requests.fields import Line
from common.metadata import LONGEST_NAME, LONGEST_VALUE, MOST_NAMES, looks_secret

_NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{LONGEST_NAME}}}")


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"a name has 1 to {LONGEST_NAME} characters of A-Z a-z 0-9 _ . -")
    if looks_secret(name):
        raise ValueError("looks like the name of a secret; metadata is sent in events, and must not hold secrets")
    return name


def _at_most(number: int) -> Callable[[object], object]:
    """Before the names and values are validated, each of which could be wrong (ADR 21)."""

    def check(value: object) -> object:
        if isinstance(value, dict) and len(value) > number:
            raise ValueError(f"must have at most {number} names")
        return value

    return check


def _documented(most: int) -> object:
    """For the OpenAPI document; the validators are what is enforced."""
    return Field(json_schema_extra={"maxProperties": most, "propertyNames": {"pattern": f"^{_NAME.pattern}$"}})


_Name = Annotated[str, AfterValidator(_check_name)]
_Value = Annotated[Line, Field(max_length=LONGEST_VALUE)]
# A change may delete all names and add as many others.
_MOST_CHANGES = 2 * MOST_NAMES
Metadata = Annotated[dict[_Name, _Value], BeforeValidator(_at_most(MOST_NAMES)), _documented(MOST_NAMES)]
MetadataChanges = Annotated[
    dict[_Name, _Value | None], BeforeValidator(_at_most(_MOST_CHANGES)), _documented(_MOST_CHANGES)
]
