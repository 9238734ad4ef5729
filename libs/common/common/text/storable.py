"""Escapes what PostgreSQL, JSON and Kafka cannot hold in a text: NUL and surrogates.

An error's text may contain anything: a mail server's answer, 32 zero bytes from a proxy; even its `str()` may raise.
Such a text passes through `storable` or `describe_error` before it is stored or sent.
"""

from collections.abc import Mapping
from typing import Any

LONGEST_ERROR = 2_000
_MOST_PARTS = 5


def storable(text: str, most: int | None = None) -> str:
    """The text with NUL and unpaired surrogates as escapes, and then cut to `most` characters."""
    beginning = text if most is None else text[:most]
    return beginning.encode(errors="backslashreplace").decode().replace("\0", "\\0")[:most]


def storable_json(value: Any) -> Any:
    """The JSON value with all its texts, member names included, made storable."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable_json(name): storable_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(each) for each in value]
    return value


def describe_error(error: BaseException, most: int = LONGEST_ERROR) -> str:
    """`Type: text`, storable and at most `most` characters, even if the error's `str()` raises. An exception group
    includes its first errors."""
    parts = ""
    if isinstance(error, BaseExceptionGroup):
        parts = f" [{'; '.join(describe_error(each, most) for each in error.exceptions[:_MOST_PARTS])}]"
    return storable(f"{type(error).__name__}: {_text_of(error)[:most]}{parts}", most)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:
        return f"(its text cannot be read: {type(second).__name__})"
