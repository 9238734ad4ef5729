"""Duplicate members of JSON objects. Parsers drop all but one silently, so two readers of one text may differ."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

_encode = msgspec.json.Encoder(decimal_format="number").encode
_LONGEST_NAME = 100
_UNNAMED = "(unnamed)"
# To find the name, the body is parsed again: 20 ms for this size, 0.3 s of a blocked event loop for 1 MiB (ADR 0021).
NAMED_UP_TO_BYTES = 64 * 1024


def find_duplicate(text: bytes, value: Any) -> str | None:
    """The path of a member that `text` has twice, such as `glazes.0.colour`; `value` is the parsed text.

    In a text of more than `NAMED_UP_TO_BYTES` the name is not searched: the result is `(unnamed)`.

    A dropped member has at least the two quotes of its name, so the text and the encoded value have the same number of
    quotes only when nothing was dropped: about 3 µs for a body of 600 bytes.
    """
    if _count_quotes(text) == _count_quotes(_encode(value)):
        return None
    if len(text) > NAMED_UP_TO_BYTES:
        return _UNNAMED
    objects_as_pairs = json.loads(text, object_pairs_hook=_Members, parse_int=str, parse_float=str)
    return next(_duplicates(objects_as_pairs, ""), _UNNAMED)


def _count_quotes(text: bytes) -> int:
    """Without escaped quotes within a string."""
    if b"\\" not in text:
        return text.count(b'"')
    text = text.replace(b"\\\\", b"")
    return text.count(b'"') - text.count(b'\\"')


class _Members(list[tuple[str, Any]]):
    """The members of one object, in order, with duplicates."""


def _duplicates(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Members):
        seen = set()
        for name, member in value:
            at = f"{path}{name[:_LONGEST_NAME]}"
            if name in seen:
                yield at
            seen.add(name)
            yield from _duplicates(member, f"{at}.")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _duplicates(item, f"{path}{number}.")
