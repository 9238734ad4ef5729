"""Metadata: texts by name that clients attach to their objects. The names must not be those of secrets (ADR 25)."""

import re
from collections.abc import Mapping

MOST_NAMES = 50
LONGEST_NAME = 40
LONGEST_VALUE = 500

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Of a name in snake case: `card_number` is `cardNumber`, `Card-Number` and `cardnumber`, but not `postcard_notes`.
_SECRET = re.compile(
    r"pass_?(word|wd|phrase|code)|secret(?!ar)|token|credential|authorization|bearer|cvv|"
    r"(api|access|private|signing|encryption)_?key|(credit|debit)_?card|security_?code|"
    r"(?<![a-z])(card|cc)_?(no|nr|num|number)(?![a-z])|(?<![a-z])(pwd|cvc|csc|otp|ssn|jwt)(?![a-z])|^(pin|pan|pass)$"
)


def looks_secret(name: str) -> bool:
    """Whether a value of this name may be a secret: a password, a token, a card's number or code."""
    return _SECRET.search(re.sub(r"[-._]+", "_", _CAMEL.sub("_", name)).lower()) is not None


def merge_metadata(metadata: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """JSON Merge Patch (RFC 7396): a null deletes. Raises `ValueError` for more than `MOST_NAMES` names."""
    merged = {name: value for name, value in {**metadata, **changes}.items() if value is not None}
    if len(merged) > MOST_NAMES:
        raise ValueError(f"must have at most {MOST_NAMES} names")
    return merged
