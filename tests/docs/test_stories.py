"""The page of the backlog's stories is complete, and names existing code and tests."""

import re

from support.project.documents import ROOT

PAGE = (ROOT / "docs" / "stories.md").read_text()
STORIES = ["A1", "A2", "A3", "B1", "B2", "B3", "C1", "C2", "D1", "D2", "D3"]
PLANNED = ("Celery", "Celery beat", "Redis", "Flower", "MailHog", "Safety", "staging")
_ROW_OF_PLAN = re.compile(r"^\| (?!planned|---)(.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
_ROW = re.compile(r"^\| (?!asked for|---)(.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def rows() -> dict[str, list[tuple[str, str, str, str]]]:
    sections = re.split(r"^### ([A-D]\d)\. .*$", PAGE, flags=re.MULTILINE)[1:]
    return {story: _ROW.findall(text) for story, text in zip(sections[::2], sections[1::2], strict=True)}


def test_every_story_is_listed_with_its_requirements() -> None:
    assert list(rows()) == STORIES
    assert all(rows().values())


def test_every_part_of_the_original_plan_has_a_line_with_what_does_its_job_and_why() -> None:
    rows = _ROW_OF_PLAN.findall((ROOT / "docs" / "original-plan.md").read_text())
    text = " ".join(planned for planned, *_ in rows)
    assert [part for part in PLANNED if part not in text] == []
    assert all(cell.strip() for row in rows for cell in row)


def test_every_line_names_existing_code_and_a_test() -> None:
    for story, lines in rows().items():
        for requirement, code, tests, figure in lines:
            files = re.findall(r"`([^`]+)`", code)
            assert files, (story, requirement)
            assert [file for file in files if not (ROOT / file).exists()] == [], (story, requirement)
            assert re.search(r"`tests/[\w/]+\.py::\w+`", tests), (story, requirement)
            assert figure.strip(), (story, requirement)
