"""The documents name the console's pages as the console does."""

import re

import pytest
from console.pages.table import PAGES
from support.project.documents import ROOT

TITLES = {page.title for page in PAGES}
TEMPLATES = ROOT / "services" / "console" / "console" / "templates"
# Page Overview: …, page Failed work; …
_NAMED = re.compile(r"\b[Pp]age ([A-Z][a-z]+(?: [a-z]+){0,3})")
_ITALIC = re.compile(r"(?<![*\w])\*([A-Z][^*]+)\*(?!\*)")


def text_of(page: str) -> str:
    return " ".join((ROOT / "docs" / page).read_text().split())


@pytest.mark.parametrize("page", ["operations.md", "how-to/use-the-console.md", "how-to/find-and-mend-failures.md"])
def test_a_page_that_a_document_names_exists(page: str) -> None:
    named = _NAMED.findall(text_of(page))
    assert [text for text in named if not text.startswith(tuple(TITLES))] == []


def test_the_runbook_names_pages() -> None:
    assert len(_NAMED.findall(text_of("operations.md"))) > 10


@pytest.mark.parametrize("page", ["how-to/use-the-console.md", "how-to/find-and-mend-failures.md"])
def test_what_a_guide_writes_in_italics_is_a_page_or_a_text_of_one(page: str) -> None:
    shown = "\n".join(file.read_text() for file in TEMPLATES.glob("*.html")) + "\n".join(TITLES)
    # Its last section begins each line with a message.
    text = text_of(page).partition("## When the console shows less")[0]
    assert [each for each in _ITALIC.findall(text) if each not in shown] == []
