"""Request headers by RFC 9110: values without blanks around them (5.5), and single values (5.3)."""

from starlette.types import Scope

from common.errors import Code, Problem

_BLANKS = b" \t"


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Every value of the header, in order; `name` is in lower case."""
    return [value.strip(_BLANKS) for each, value in scope["headers"] if each == name]


def single_header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header that is not a list, or None. Raises `Problem` BAD_REQUEST if the header is given twice."""
    single: bytes | None = None
    for each, value in scope["headers"]:
        if each == name:
            if single is not None:
                text = name.decode()
                raise Problem(Code.BAD_REQUEST, f"The header {text} must be given once.", {"header": text})
            single = value.strip(_BLANKS)
    return single
