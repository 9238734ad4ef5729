"""Visible and invisible characters, and escaping for a terminal."""

import json
import unicodedata

import pytest
from common.operators.output import print_result
from common.text.visible import for_terminal, json_for_terminal, shows_nothing, without_ignorable

ESCAPES = "a\x1b[2J\x9b1m\x7f\u202eb\u2066\u2028"


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u00a0\u3000", "\u200b", "\u3164", "\u2800", "\x00\x1f\x85"])
def test_blanks_and_invisible_characters_are_not_visible(text: str) -> None:
    assert shows_nothing(text)


@pytest.mark.parametrize("text", [".", "ß", "\u0301", "\u0600", "葛\U000e0100", "☎\ufe0f", "\ufffd", "\ue000", "-"])
def test_all_other_characters_are_visible(text: str) -> None:
    assert not shows_nothing(text)


def test_every_format_character_without_a_glyph_is_invisible() -> None:
    """Those with a glyph precede digits or words, for example the Arabic end of ayah."""
    formats = {chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"}
    visible = {character for character in formats if not shows_nothing(character)}
    assert visible == {
        character
        for character in formats
        if 0x600 <= ord(character) <= 0x605
        or character in "\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
        or 0x13430 <= ord(character) <= 0x1343F
    }


def test_a_page_omits_invisible_characters() -> None:
    assert without_ignorable("葛\U000e0100城 ☎\ufe0f a\u2800b") == "葛城 ☎ a b"


def test_control_characters_are_escaped_for_a_terminal() -> None:
    assert for_terminal(ESCAPES) == r"a\x1b[2J\x9b1m\x7f\u202eb\u2066\u2028"
    assert for_terminal("a\n\tb") == r"a\n\tb"
    assert for_terminal("a\n\tb\x1b", keep_lines=True) == "a\n\tb\\x1b"
    assert for_terminal("Zoë 山田 🎁") == "Zoë 山田 🎁"


def test_json_for_a_terminal_has_the_same_value() -> None:
    text = json.dumps({"name": ESCAPES}, ensure_ascii=False)
    assert json.loads(json_for_terminal(text)) == {"name": ESCAPES}
    assert json_for_terminal(text).isprintable()


@pytest.mark.parametrize("style", ["text", "json"])
def test_the_output_of_commands_cannot_control_a_terminal(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"data": [{"name": ESCAPES, "attempts": [{"error": ESCAPES}]}]}, style)
    print_result({"name": ESCAPES, "attempts": [{"error": ESCAPES}]}, style)
    assert capsys.readouterr().out.replace("\n", "").isprintable()
