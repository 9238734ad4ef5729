"""Types of fields in bodies: texts, exact numbers, amounts."""

from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Annotated, Any
from unicodedata import category

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from common.text.email_address import LONGEST, parse_email_address
from common.text.visible import CONTROLS, INVISIBLE, shows_nothing


class RequestBody(BaseModel):
    """A JSON body, or an object in it. Fields that the model does not have are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @staticmethod
    def refuse(problems: Iterable[tuple[tuple[str | int, ...], str]]) -> None:
        """Raises `ValidationError` if there are problems: the path of a field, and its issue. For rules over fields."""
        errors: list[Any] = [
            InitErrorDetails(type=PydanticCustomError("rule", "{issue}", {"issue": issue}), loc=location, input=None)
            for location, issue in problems
        ]
        if errors:
            raise ValidationError.from_exception_data("request", errors)

    def require_one_of(self, *names: str) -> None:
        """Raises `ValueError` if all of these fields are null. For the conditions of a filter."""
        if all(getattr(self, name) is None for name in names):
            raise ValueError(f"must have at least one of {', '.join(names[:-1])} and {names[-1]}")


def _check(text: str, *, lines: bool = False, may_be_empty: bool = False) -> str:
    """`lines`: line breaks and tabs are allowed. A text of invisible characters counts as empty."""
    line = text.translate(_LAYOUT) if lines else text
    if not line.isprintable() and any(category(character) in {"Cc", "Cs"} for character in line):
        raise ValueError("must not contain control characters")
    if not shows_nothing(text):
        return text
    if not may_be_empty:
        raise ValueError("must contain a visible character")
    return ""


def _documented(controls: str, *, may_be_empty: bool = False) -> Any:
    """A pattern for the OpenAPI document; the validator is what is enforced."""
    visible = "" if may_be_empty else f"[^{INVISIBLE}][^{controls}]*"
    return Field(json_schema_extra={"pattern": f"^[^{controls}]*{visible}$"})


_LAYOUT = {ord(character): None for character in "\n\r\t"}
_CONTROLS_BUT_LAYOUT = CONTROLS.replace(r"\u0000-\u001f", r"\u0000-\u0008\u000b\u000c\u000e-\u001f")
_stripped = StringConstraints(strip_whitespace=True)
_not_blank = StringConstraints(strip_whitespace=True, min_length=1)
_empty_line, _empty_lines = partial(_check, may_be_empty=True), partial(_check, lines=True, may_be_empty=True)
# One line, or more; without blanks at the ends, and not empty unless they are optional.
Line = Annotated[str, _not_blank, AfterValidator(_check), _documented(CONTROLS)]
Lines = Annotated[str, _not_blank, AfterValidator(partial(_check, lines=True)), _documented(_CONTROLS_BUT_LAYOUT)]
OptionalLine = Annotated[str, _stripped, AfterValidator(_empty_line), _documented(CONTROLS, may_be_empty=True)]
OptionalLines = Annotated[
    str, _stripped, AfterValidator(_empty_lines), _documented(_CONTROLS_BUT_LAYOUT, may_be_empty=True)
]
EmailAddress = Annotated[
    str,
    _stripped,
    AfterValidator(parse_email_address),
    Field(json_schema_extra={"format": "email", "maxLength": LONGEST}),
]


def _number(value: object) -> object:
    """Fractions in bodies are decimals (`common.edge.requests.body`); a float may have lost digits.

    Negative zero becomes zero: it would be answered as `-0.00` and stored as 0.00.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("must be a number")
    return value or 0


# A decimal in Python, a number in JSON, also in responses: the public contract says so.
ExactNumber = Annotated[Decimal, BeforeValidator(_number, json_schema_input_type=float)]

# The most digits of a whole number in a body: `1e999999` is not converted.
_WHOLE_DIGITS = 18


def _whole(value: object) -> object:
    """JSON has one kind of number: `1.0` and `1e0` are the integer 1."""
    if isinstance(value, Decimal) and value.adjusted() < _WHOLE_DIGITS and value == value.to_integral_value():
        return int(value)
    return value


WholeNumber = Annotated[int, Field(strict=True), BeforeValidator(_whole, json_schema_input_type=int)]
