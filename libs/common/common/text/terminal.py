"""Texts of clients on a terminal: a control character in a name must not move its cursor, or rename its window."""

import re

# C0 and C1 controls (ECMA-48; with escape, ANSI sequences begin), surrogates, and the controls that turn the direction
# of all that follows (Unicode TR36, 2.6) or break a line.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_WITHIN_LINES = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def for_terminal(text: str, *, keep_lines: bool = False) -> str:
    """The text with its control characters written out, as `\\\\x1b`; `keep_lines` leaves line ends and tabs in."""
    if text.isprintable():
        return text
    return (_CONTROL_WITHIN_LINES if keep_lines else _CONTROL).sub(_written_out, text)


def json_for_terminal(text: str) -> str:
    """The same JSON text with control characters inside its strings as `\\u009b`; line ends and tabs are layout."""
    return _CONTROL_WITHIN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
