"""Types of fields in bodies: texts, exact numbers, amounts."""

from collections.abc import Iterable
from decimal import Decimal
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
    WithJsonSchema,
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


def _printable(text: str) -> str:
    if not text.isprintable() and any(category(character) in {"Cc", "Cs"} for character in text):
        raise ValueError("must not contain control characters")
    return text


def _printable_lines(text: str) -> str:
    _printable(text.translate({ord(character): None for character in "\n\r\t"}))
    return text


def _visible(text: str) -> str:
    if shows_nothing(text):
        raise ValueError("must contain a visible character")
    return text


def _empty_if_invisible(text: str) -> str:
    return "" if shows_nothing(text) else text


def _documented(pattern: str) -> Any:
    """The pattern for the OpenAPI document; the validator is what is enforced."""
    return Field(json_schema_extra={"pattern": pattern})


_LAYOUT_LESS = CONTROLS.replace(r"\u0000-\u001f", r"\u0000-\u0008\u000b\u000c\u000e-\u001f")
_not_blank = StringConstraints(strip_whitespace=True, min_length=1)
# Without blanks at the ends, and not empty: a text of invisible characters counts as empty.
Line = Annotated[
    str,
    _not_blank,
    AfterValidator(_printable),
    AfterValidator(_visible),
    _documented(f"^[^{CONTROLS}]*[^{INVISIBLE}][^{CONTROLS}]*$"),
]
Lines = Annotated[
    str,
    _not_blank,
    AfterValidator(_printable_lines),
    AfterValidator(_visible),
    _documented(f"^[^{_LAYOUT_LESS}]*[^{INVISIBLE}][^{_LAYOUT_LESS}]*$"),
]

_stripped = StringConstraints(strip_whitespace=True)
# The same, but they may be empty.
OptionalLine = Annotated[
    str,
    _stripped,
    AfterValidator(_printable),
    AfterValidator(_empty_if_invisible),
    _documented(f"^[^{CONTROLS}]*$"),
]
OptionalLines = Annotated[
    str,
    _stripped,
    AfterValidator(_printable_lines),
    AfterValidator(_empty_if_invisible),
    _documented(f"^[^{_LAYOUT_LESS}]*$"),
]


EmailAddress = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
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


# An amount of money in a response: a decimal in Python, a number in JSON, as the public contract has it.
JsonNumber = Annotated[Decimal, WithJsonSchema({"type": "number"})]
ExactNumber = Annotated[Decimal, BeforeValidator(_number, json_schema_input_type=float)]

# The most digits of a whole number in a body: `1e999999` is not converted.
_WHOLE_DIGITS = 18


def _whole(value: object) -> object:
    """JSON has one kind of number: `1.0` and `1e0` are the integer 1."""
    if isinstance(value, Decimal) and value.adjusted() < _WHOLE_DIGITS and value == value.to_integral_value():
        return int(value)
    return value


WholeNumber = Annotated[int, Field(strict=True), BeforeValidator(_whole, json_schema_input_type=int)]
