"""The pages call one thing by one word."""

import re

import pytest
from support.project.documents import ROOT

TEMPLATES = ROOT / "services" / "console" / "console" / "templates"
_CODE = re.compile(r"\{[{%#].*?[}%#]\}", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
# What macros get to show.
_TEXT_IN_CODE = re.compile(r"\"([A-Z][^\"]*)\"")


# What an operator reads in place of the words above, and of earlier ones.
WORDS = {
    "Discrepancy",
    "Replay selected",
    "Object type",
    "Details",
    "State",
    "Unsent events",
    "Records to read",
    "Why the order is in this state",
}


def shown_texts() -> list[str]:
    found = []
    for text in (file.read_text() for file in TEMPLATES.glob("*.html")):
        found += [each for code in _CODE.findall(text) for each in _TEXT_IN_CODE.findall(code)]
        found += [line.strip() for line in _TAG.sub("\n", _CODE.sub("", text)).splitlines()]
    return found


@pytest.mark.parametrize("word", ["Finding", "finding", "Status", "chosen", "Outbox", "Lag", "held back"])
def test_a_word_of_the_code_or_a_second_word_is_not_shown(word: str) -> None:
    assert [text for text in shown_texts() if word in text] == []


def test_the_words_of_the_pages_are_found() -> None:
    assert set(shown_texts()) >= WORDS
