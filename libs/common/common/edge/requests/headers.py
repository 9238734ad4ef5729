"""Request headers by RFC 9110 (5.3 to 5.5): blanks around a value do not count, and a single value is given once."""

from starlette.types import Scope

from common.errors import Code, Problem

_BLANKS = b" \t"


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Every value of the header, in order; `name` is in lower case."""
    return [value.strip(_BLANKS) for each, value in scope["headers"] if each == name]


def single_header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header that is no list; None without one. Raises `Problem` BAD_REQUEST where it is given twice."""
    found: bytes | None = None
    for each, value in scope["headers"]:
        if each == name:
            if found is not None:
                shown = name.decode()
                raise Problem(Code.BAD_REQUEST, f"The header {shown} must be given once.", {"header": shown})
            found = value.strip(_BLANKS)
    return found
