"""Types of request fields: texts, exact numbers, times."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from unicodedata import category

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
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


ExactNumber = Annotated[Decimal, BeforeValidator(_number, json_schema_input_type=float)]

# The most digits of a whole number in a body: `1e999999` is not converted.
_WHOLE_DIGITS = 18


def _whole(value: object) -> object:
    """JSON has one kind of number: `1.0` and `1e0` are the integer 1."""
    if isinstance(value, Decimal) and value.adjusted() < _WHOLE_DIGITS and value == value.to_integral_value():
        return int(value)
    return value


WholeNumber = Annotated[int, Field(strict=True), BeforeValidator(_whole, json_schema_input_type=int)]


# A date, optionally with a time after `T` or a blank. Python accepts any character between the two: it parses the day
# with an offset `2026-11-22-10:00` as ten o'clock.
_ISO_8601 = re.compile(r"[0-9W-]{7,10}([Tt ].*)?", re.ASCII)


def _instant(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        if _ISO_8601.fullmatch(value) is None:
            raise ValueError
        moment = datetime.fromisoformat(value)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be an ISO 8601 time, such as 2026-11-22T10:00:00Z") from None


# Without an offset it is in UTC.
Instant = Annotated[datetime, BeforeValidator(_instant, json_schema_input_type=datetime)]


def _in_digits(value: object) -> object:
    if isinstance(value, str) and _DIGITS.fullmatch(value) is None:
        raise ValueError("must be a whole number in digits, such as 20")
    return value


# Whole numbers in an address. Pydantic accepts Python's notation too: `1_0` and `+10` are 10.
_DIGITS = re.compile(r"-?[0-9]+(\.0+)?")
InDigits = BeforeValidator(_in_digits)
