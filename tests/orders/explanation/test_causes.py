"""Each injected cause is named first, with its next step and remedy: the table of docs/reference/explain-causes.md."""

import os
import re
from typing import Any

import pytest
from support.explanations.causes import CASES, Case
from support.explanations.rarer_causes import RARER_CASES
from support.explanations.scene import running_scene
from support.postgres.databases import Databases
from support.project.documents import ROOT

ALL_CASES = (*CASES, *RARER_CASES)
EXPLANATION = ROOT / "services" / "orders" / "orders" / "explanation"
# What else has a hyphen in the explanation.
NO_CAUSES = {"e-mail", "invoice-document", "invoice-mail", "refund-mail", "return-review", "dead-letters"}
PAGE = ROOT / "docs" / "reference" / "explain-causes.md"
_PLACE = re.compile(r"(<!-- causes -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "(time)"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}"), "(id)"),
)

pytestmark = pytest.mark.timeout(240)


async def test_each_injected_cause_is_named_first_with_its_next_step_and_remedy(databases: Databases) -> None:
    rows, wrong = [], []
    async with running_scene(databases) as scene:
        for case in ALL_CASES:
            await scene.reset()
            answer = await scene.explain(await case.inject(scene))
            finding = answer["findings"][0]
            found = (finding["cause"], finding["service"])
            if found != (case.cause, case.service) or case.state not in ("", answer["state"]):
                others = [(each["cause"], each["service"]) for each in answer["findings"]]
                wrong.append((case.name, case.cause, case.service, case.state, answer["state"], others))
            rows.append(_row(case, finding))
    assert wrong == [], "\n".join(map(str, wrong))
    assert len(rows) >= 60
    table = _table(rows)
    if os.environ.get("WRITE_CAUSES"):
        PAGE.write_text(_PLACE.sub(lambda place: f"{place[1]}\n{table}\n\n{place[3]}", PAGE.read_text()))
    committed = _PLACE.search(PAGE.read_text())
    assert committed is not None
    assert committed[2].strip() == table, f"`make explain-causes` writes {PAGE.name} anew"


def test_every_cause_of_the_explanation_is_injected() -> None:
    texts = [file.read_text() for file in EXPLANATION.glob("*.py")]
    codes = {code for text in texts for code in re.findall(r'"([a-z]+(?:-[a-z]+)+)"', text)} - NO_CAUSES
    reasons = re.findall(r'^    "(\w+)": "\{\}', (EXPLANATION / "silence.py").read_text(), re.MULTILINE)
    assert {*codes, *(f"service-{reason}" for reason in reasons)} == {case.cause for case in ALL_CASES}


def _row(case: Case, finding: dict[str, Any]) -> list[str]:
    assert finding["next"]
    return [case.name, f"`{finding['cause']}`", finding["service"], finding["next"], finding["remedy"] or "-"]


def _table(rows: list[list[str]]) -> str:
    head = ["injected", "cause", "service", "next", "remedy"]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    text = "\n".join(lines)
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return text
