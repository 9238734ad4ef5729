"""Invisible characters: finds texts that only look empty, and removes what a page displays as nothing."""

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


def shows_nothing(text: str) -> bool:
    """Whether the text is empty or consists of blanks and invisible characters."""
    return _shown.search(text) is None


def without_ignorable(text: str) -> str:
    """The text without characters that are displayed as nothing, and with a space for those with a blank glyph."""
    return text if text.isascii() else _blank.sub(" ", _ignorable.sub("", text))
