"""Texts from outside as PostgreSQL, JSON and Kafka can hold them: the one place where they are made so.

An error's text may come from anywhere: a mail server's answer, 32 zero bytes from a proxy, an exception whose `str()`
raises. Whoever stores or sends such a text puts it through `storable` or `describe_error` first.
"""

from collections.abc import Mapping
from typing import Any

LONGEST_ERROR = 2_000
_MOST_PARTS = 5


def storable(text: str, most: int | None = None) -> str:
    """The text with NUL and half surrogate pairs, which PostgreSQL and UTF-8 cannot hold, written as escapes.

    At most `most` characters are left, counted after that.
    """
    beginning = text if most is None else text[:most]
    return beginning.encode(errors="backslashreplace").decode().replace("\0", "\\0")[:most]


def storable_json(value: Any) -> Any:
    """The value with every text in it, names too, made storable."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable_json(name): storable_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(each) for each in value]
    return value


def describe_error(error: BaseException, most: int = LONGEST_ERROR) -> str:
    """`Type: text`, storable, whatever the error's own text is or raises; of a group also its first parts."""
    parts = ""
    if isinstance(error, BaseExceptionGroup):
        parts = f" [{'; '.join(describe_error(each, most) for each in error.exceptions[:_MOST_PARTS])}]"
    return storable(f"{type(error).__name__}: {_text_of(error)[:most]}{parts}", most)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:
        return f"(its text cannot be read: {type(second).__name__})"
