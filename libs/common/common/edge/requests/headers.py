"""Request headers by RFC 9110: values without blanks around them (5.5), single values (5.3), entity tags (13.1.2)."""

import re

from starlette.types import Scope

from common.errors import Code, Problem

_BLANKS = b" \t"
_TAG = rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")'
_LIST = re.compile(rb"[ \t,]*%b(?:[ \t]*,[ \t,]*%b)*[ \t,]*" % (_TAG, _TAG))
_EACH = re.compile(_TAG)


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


def client_has(scope: Scope, entity_tag: str) -> bool:
    """Whether `If-None-Match` contains the tag, which includes its quotes, or is `*`.

    Tags are compared weakly: `W/` makes no difference. A malformed value is ignored.
    """
    tags = b", ".join(header_values(scope, b"if-none-match"))
    if tags == b"*":
        return True
    return _LIST.fullmatch(tags) is not None and entity_tag.encode() in _EACH.findall(tags)
