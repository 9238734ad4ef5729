"""Fonts for names in any script: each character is set in a font that has it, or visibly replaced if none has.

Noto Sans (Latin, Greek, Cyrillic and more) is embedded. Chinese, Japanese and Korean are set in the fonts that PDF
viewers include for them (ISO 32000-1, 9.7.5.2), which saves font files of many megabytes.
"""

import unicodedata
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from common.text.visible import without_ignorable
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD = "NotoSans", "NotoSans-Bold"
JAPANESE, CHINESE, TRADITIONAL_CHINESE, KOREAN = "HeiseiKakuGo-W5", "STSong-Light", "MSung-Light", "HYSMyeongJo-Medium"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Each font's characters are those of the national standard that its character collection was made from.
_EAST_ASIAN = ((JAPANESE, "shift_jis_2004"), (CHINESE, "gbk"), (TRADITIONAL_CHINESE, "big5"), (KOREAN, "cp949"))
_FOLDER = Path(__file__).parent.parent / "fonts"


def _register_fonts() -> frozenset[str]:
    """Make the fonts known to reportlab; returns the characters that Noto Sans has."""
    regular = TTFont(REGULAR, _FOLDER / "NotoSans-Regular.ttf")
    bold = TTFont(BOLD, _FOLDER / "NotoSans-Bold.ttf")
    for font in (regular, bold, *(UnicodeCIDFont(name) for name, _ in _EAST_ASIAN)):
        pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)
    codes = regular.face.charToGlyph.keys() & bold.face.charToGlyph.keys()
    return frozenset(character for character in map(chr, codes) if not unicodedata.category(character).startswith("C"))


_NOTO_SANS = _register_fonts()


def markup(text: str, *, fallback: str = "") -> str:
    """`text` for a reportlab paragraph: what it shows, never markup of its own; `fallback` when it shows nothing."""
    clean = " ".join(without_ignorable(unicodedata.normalize("NFC", text)).split()) or fallback
    if _NOTO_SANS.issuperset(clean):
        return escape(clean)
    runs = groupby(clean, _font_for)
    return "".join(_run(font, "".join(characters)) for font, characters in runs)


def _run(font: str | None, characters: str) -> str:
    if font is None:
        return REPLACEMENT * len(characters)
    return escape(characters) if font == REGULAR else f'<font name="{font}">{escape(characters)}</font>'


@lru_cache(maxsize=10_000)
def _font_for(character: str) -> str | None:
    if character in _NOTO_SANS:
        return REGULAR
    for font, encoding in _EAST_ASIAN:
        try:
            if len(character.encode("utf-16-be")) == 2 and character.encode(encoding):
                return font
        except UnicodeEncodeError:
            continue
    return None
