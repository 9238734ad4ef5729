"""The headers `If-Match` and `If-None-Match` (RFC 9110, 13.1), and the tags in them."""

import re

from starlette.types import Scope

from common.aggregates.precondition import ANY, UNCONDITIONAL, Precondition
from common.edge.requests.headers import header_values
from common.errors import Code, Problem

_MATCH, _NONE_MATCH = b"if-match", b"if-none-match"
_CONDITIONS = frozenset({_MATCH, _NONE_MATCH})
# Entity tags, and a list of them (RFC 9110, 8.8.3 and 5.6.1).
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_ONE_TAG = re.compile(rf"({_TAG})")
_WEAK = "W/"


def parse_conditions(scope: Scope) -> None:
    """Store the precondition of a request for its endpoint, before it has an effect or gets a stored response.
    Raises what `precondition_of` raises."""
    scope["precondition"] = precondition_of(scope)


def precondition_of(scope: Scope) -> Precondition:
    """Raises `Problem` BAD_REQUEST for a value that is neither `*` nor a list of tags."""
    for name, _ in scope["headers"]:  # not any(…): most requests have no condition, and this takes a third of the time
        if name in _CONDITIONS:
            break
    else:
        return UNCONDITIONAL
    matching, not_matching = _tags(scope, _MATCH), _tags(scope, _NONE_MATCH)
    return Precondition(
        # `If-Match` compares strongly, so a weak tag never matches; `If-None-Match` weakly, without the `W/`.
        None if matching is None else frozenset(each for each in matching if not each.startswith(_WEAK)),
        None if not_matching is None else frozenset(each.removeprefix(_WEAK) for each in not_matching),
    )


def client_has(scope: Scope, entity_tag: str) -> bool:
    """Whether `If-None-Match` has this strong tag, also as a weak one, or `*`. Raises `Problem` BAD_REQUEST."""
    tags = precondition_of(scope).not_matching
    return tags is not None and not tags.isdisjoint((entity_tag, ANY))


def require_no_condition(scope: Scope) -> None:
    """Of a change of something without versions. Raises `Problem` BAD_REQUEST for a malformed condition, and
    PRECONDITION_FAILED for any other: to ignore it would make a client believe that it was checked."""
    if precondition_of(scope) is not UNCONDITIONAL:
        message = "There are no versions here that If-Match or If-None-Match could be compared with."
        raise Problem(Code.PRECONDITION_FAILED, message, {"current_version": None})


def _tags(scope: Scope, name: bytes) -> list[str] | None:
    """Of all lines of the header; None without the header."""
    values = header_values(scope, name)
    if not values:
        return None
    text = b", ".join(values).decode("latin-1")
    if text == ANY:
        return [ANY]
    if _TAGS.fullmatch(text) is None:
        header = "-".join(part.capitalize() for part in name.decode().split("-"))
        message = f'The header {header} must be * or entity tags in quotation marks, such as "7".'
        raise Problem(Code.BAD_REQUEST, message, {"header": header.lower()})
    return _ONE_TAG.findall(text)
