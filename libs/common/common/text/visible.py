"""Which characters show nothing: what a text consists of when it only looks empty, and what a page leaves out."""

import re

# Default_Ignorable_Code_Point of the Unicode Character Database (DerivedCoreProperties.txt, 17.0): to be shown as
# nothing where a font has no glyph for them. Soft hyphen, joiners, bidi controls, Hangul fillers, variation selectors,
# tags. FFF9 to FFFB (interlinear annotation) are not in that list, but have no shape either.
_IGNORABLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_IGNORABLE_BEYOND = r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
# Characters that have a shape by name, and whose shape is blank: the empty Braille cell; the Khitan filler, the null
# note head.
_BLANK, _BLANK_BEYOND = r"\u2800", r"\U00016fe4\U0001d159"
# Of a character class, in the notation that JSON Schema's patterns have too: so without what is beyond U+FFFF.
CONTROLS = r"\u0000-\u001f\u007f-\u009f"
INVISIBLE = rf"\s{CONTROLS}{_IGNORABLE}{_BLANK}"

_shown = re.compile(f"[^{INVISIBLE}{_IGNORABLE_BEYOND}{_BLANK_BEYOND}]")
_ignorable = re.compile(f"[{_IGNORABLE}{_IGNORABLE_BEYOND}]")
_blank = re.compile(f"[{_BLANK}{_BLANK_BEYOND}]")


def shows_nothing(text: str) -> bool:
    """Whether a reader sees an empty text: it is empty, or has blanks and invisible characters only."""
    return _shown.search(text) is None


def without_ignorable(text: str) -> str:
    """The text without what a page shows as nothing, and with a space for characters whose shape is blank."""
    return text if text.isascii() else _blank.sub(" ", _ignorable.sub("", text))
