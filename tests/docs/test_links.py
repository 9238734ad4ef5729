"""The files, headings and tests that documents refer to exist."""

import re
from pathlib import Path

import pytest
from support.project.documents import DOCUMENTS, ROOT

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub makes from the headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", document.read_text()), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_to_existing_files_and_headings(document: Path) -> None:
    for path, anchor in _LINK.findall(_FENCED.sub("", document.read_text())):
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{name(document)} links to {path}"
        if anchor:
            assert anchor in anchors(target), f"{name(document)} links to {path}#{anchor}"


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    targets = {(index.parent / path).resolve() for path, _ in _LINK.findall(index.read_text())}
    pages = {page for page in DOCUMENTS if page.is_relative_to(index.parent) and page.parent.name != "adr"}
    assert pages - targets == {index}


def test_every_named_test_exists() -> None:
    references = [(name(document), *parts) for document in DOCUMENTS for parts in _TEST.findall(document.read_text())]
    missing = [each for each in references if not defines(ROOT / each[1], each[2])]
    assert missing == []


def defines(file: Path, test: str) -> bool:
    return file.exists() and re.search(rf"^\s*(async )?def {test}\(", file.read_text(), re.MULTILINE) is not None


def test_every_guarantee_names_a_test() -> None:
    rows = re.findall(
        r"^\| (?!guarantee |---)(.+) \| (.+) \|$", (ROOT / "docs/guarantees.md").read_text(), re.MULTILINE
    )
    assert rows
    assert [guarantee for guarantee, tests in rows if not _TEST.search(tests)] == []
