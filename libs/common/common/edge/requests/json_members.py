"""Members that a JSON object has twice. Parsers keep the last one in silence, so two readers of one text may differ."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

_encode = msgspec.json.Encoder(decimal_format="number").encode
_LONGEST_NAME = 100
_UNNAMED = "(unnamed)"
# Reading a body again to find the name takes up to 20 ms; of 1 MiB it took 0.3 s, in which nothing else ran (ADR 0021).
NAMED_UP_TO_BYTES = 64 * 1024


def find_duplicate(text: bytes, value: Any) -> str | None:
    """The path of a member that `text` has twice, as `line_items.0.quantity`; `value` is what was parsed from it.

    In a text of more than `NAMED_UP_TO_BYTES` it is not looked for: then the answer is `(unnamed)`.

    A member that the parser dropped took at least the two quotes of its name with it, so both texts have the same
    number of quotes only when nothing was dropped: about 3 µs for an order of 600 bytes.
    """
    if _count_quotes(text) == _count_quotes(_encode(value)):
        return None
    if len(text) > NAMED_UP_TO_BYTES:
        return _UNNAMED
    objects_as_pairs = json.loads(text, object_pairs_hook=_Members, parse_int=str, parse_float=str)
    return next(_duplicates(objects_as_pairs, ""), _UNNAMED)


def _count_quotes(text: bytes) -> int:
    """Without those that are escaped within a string."""
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
