"""The cause of a failure: its error without what differs between occurrences, so that failures are grouped (ADR 44).

The cause of `Declined: 402 card_declined: charge ch_3Nx8Qa of 12.50 EUR` is `Declined: 402 card_declined: charge <id>
of <number> EUR`.
"""

import re

from common.text.visible import without_ignorable

LONGEST_CAUSE = 200
# What is shown, and searched for, where a version before this stored a failure, or the error is empty.
UNCLASSIFIED = "not classified"
# The end of a longer error is not looked at.
_LOOKED_AT = 1_000
# A quotation mark opens where no word ends, and closes where none begins: an apostrophe does neither.
_QUOTED = "|".join(rf"(?<!\w){mark}[^{mark}]*{mark}(?!\w)" for mark in ("'", '"', "`"))
_IPV6 = r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:])"
_UNIT = "(?:[nuµ]s|ms|s|min|m|h|d|[kKMG]?i?B|%)?"
# In one pass, the first that matches: a URL may contain an e-mail address, a time and numbers.
_VARIABLE = re.compile(
    "|".join(
        f"(?P<{name}>{pattern})"
        for name, pattern in {
            "address": r"\b[a-z][a-z0-9+.-]*://[^\s'\"`<>]*[^\s'\"`<>,.;:)\]]|[^\s'\"`<>,;:()\[\]=]+@[^\s'\"`<>,;:()\[\]]+",
            "text": _QUOTED,
            "time": r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|[+-]\d\d:?\d\d)\b)?)?",
            "id": r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b",
            "host": rf"{_IPV6}|\b\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?\b",
            "number": rf"(?<![\w-])[-+]?\d+(?:[.,:]\d+)*{_UNIT}(?![\w-])",
            "word": r"[^\W_]+(?:[_-][^\W_]+)*",
        }.items()
    )
)
# A status of HTTP tells causes apart that need different remedies.
_BEFORE_STATUS = re.compile(r"(?:^\w+: |\bHTTP |\banswered |\bstatus )$")
_STATUS = re.compile(r"[45]\d\d")
# What `repr` makes of an exception with one argument.
_REPR = re.compile(r"""(\w+)\((['"])(.*)\2\)""")
_SHORT_NAME = re.compile(r"([^\W\d_]+)\d+")
_LONGEST_NAME = 7


def cause_of(error: str) -> str:
    """One line of at most `LONGEST_CAUSE` characters, as a field of a request keeps it: of visible characters, without
    blanks at its ends. Empty where nothing of the error is left."""
    line = _REPR.sub(r"\1: \3", _in_one_line(error[:_LOOKED_AT]))
    cause = _in_one_line(_VARIABLE.sub(_replace, line))[:LONGEST_CAUSE].rstrip()
    return stored_cause(cause)


def shown_cause(cause: str) -> str:
    """The stored cause of a failure, for people."""
    return cause or UNCLASSIFIED


def stored_cause(shown: str) -> str:
    """The reverse of `shown_cause`."""
    return "" if shown == UNCLASSIFIED else shown


def _in_one_line(text: str) -> str:
    shown = without_ignorable(text)
    return " ".join("".join(each if each.isprintable() else " " for each in shown).split())


def _replace(found: re.Match[str]) -> str:
    kind, text = found.lastgroup, found[0]
    if kind == "word":
        return _without_ids(text)
    if kind == "number" and _STATUS.fullmatch(text) and _BEFORE_STATUS.search(found.string[: found.start()]):
        return text
    return "<address>" if kind == "host" else f"<{kind}>"


def _without_ids(word: str) -> str:
    """Of `utf8` and `vase-12` the name stays; `ch_3Nx8Qa` and `9f86d081` are identifiers."""
    if not any(map(str.isdigit, word)):
        return word
    parts = re.split(r"([_-])", word)
    if "_" in word and any(_is_mixed(part) for part in parts):
        return "<id>"
    return "".join(map(_without_id, parts))


def _without_id(part: str) -> str:
    if part.isdigit():
        return "<number>"
    if not _is_mixed(part):
        return part
    name = _SHORT_NAME.fullmatch(part) if len(part) <= _LONGEST_NAME else None
    return "<id>" if name is None else f"{name[1]}<number>"


def _is_mixed(part: str) -> bool:
    return any(map(str.isdigit, part)) and any(map(str.isalpha, part))
