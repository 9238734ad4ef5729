"""JSON objects as tokens and key sets need them: without duplicate members, and without numbers that JSON lacks."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn


def decode_object(data: bytes) -> dict[str, Any]:
    """Raises `ValueError` for anything but a JSON object in UTF-8.

    Parsers differ in which of two members with the same name they keep: one that checks a token and one that uses it
    must not read different claims.
    """
    try:
        document = json.loads(data, object_pairs_hook=_without_duplicates, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("is not a JSON object")
    return document


def _without_duplicates(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(members)
    if len(document) != len(members):
        raise ValueError("has a member twice")
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
