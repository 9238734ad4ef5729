"""Characters that are not displayed: texts that only look empty, and control characters, which a terminal obeys.

In a client's text, control characters could move the cursor or rename the window.
"""

import re

# Default_Ignorable_Code_Point of the Unicode Character Database (DerivedCoreProperties.txt, 17.0): displayed as
# nothing where a font has no glyph for them. Soft hyphen, joiners, bidi controls, Hangul fillers, variation selectors,
# tags. FFF9 to FFFB (interlinear annotation) are not in that list, but are not displayed either.
_IGNORABLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_IGNORABLE_BEYOND = r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
# Characters with a glyph that is blank: the empty Braille cell; the Khitan filler, the null note head.
_BLANK, _BLANK_BEYOND = r"\u2800", r"\U00016fe4\U0001d159"
# Parts of a character class, in the notation of JSON Schema's patterns too, and so without characters above U+FFFF.
CONTROLS = r"\u0000-\u001f\u007f-\u009f"
INVISIBLE = rf"\s{CONTROLS}{_IGNORABLE}{_BLANK}"

_shown = re.compile(f"[^{INVISIBLE}{_IGNORABLE_BEYOND}{_BLANK_BEYOND}]")
_ignorable = re.compile(f"[{_IGNORABLE}{_IGNORABLE_BEYOND}]")
_blank = re.compile(f"[{_BLANK}{_BLANK_BEYOND}]")

# C0 and C1 controls (ECMA-48; ANSI sequences begin with one), surrogates, and the controls that change the direction of
# the following text (Unicode TR36, 2.6) or break a line.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_WITHIN_LINES = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shows_nothing(text: str) -> bool:
    """Whether the text is empty or consists of blanks and invisible characters."""
    return _shown.search(text) is None


def without_ignorable(text: str) -> str:
    """The text without characters that are displayed as nothing, and with a space for those with a blank glyph."""
    return text if text.isascii() else _blank.sub(" ", _ignorable.sub("", text))


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
