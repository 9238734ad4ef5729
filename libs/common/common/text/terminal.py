"""Escapes control characters for a terminal: in a client's text they could move the cursor or rename the window."""

import re

# C0 and C1 controls (ECMA-48; ANSI sequences begin with one), surrogates, and the controls that change the direction of
# the following text (Unicode TR36, 2.6) or break a line.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_WITHIN_LINES = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def for_terminal(text: str, *, keep_lines: bool = False) -> str:
    """The text with its control characters as escapes, `\\\\x1b`; with `keep_lines`, line ends and tabs stay."""
    if text.isprintable():
        return text
    return (_CONTROL_WITHIN_LINES if keep_lines else _CONTROL).sub(_escape, text)


def json_for_terminal(text: str) -> str:
    """An equal JSON text with the control characters in its strings as escapes, `\\u009b`; line ends and tabs stay."""
    return _CONTROL_WITHIN_LINES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
