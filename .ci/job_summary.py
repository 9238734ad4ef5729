"""The reports of one CI run as tables in Markdown, for the summary page of the run.

    python .ci/job_summary.py reports >> "$GITHUB_STEP_SUMMARY"

Reads what is there of tests*.xml (JUnit), check.txt, security.txt, kill-runs.txt and compose.txt. A missing report
is named, so that no table looks like a pass.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree  # the reports are our own  # nosec B405

_COVERAGE = re.compile(r"^(?P<of>[\w ]+): (?P<reached>[\d.]+) % of (?P<asked>\d+) %$", re.MULTILINE)
_AUDIT = re.compile(r"^(?:dependency audit.*|secret scan.*|NOT CHECKED.*)$", re.MULTILINE)
_KILLS = re.compile(r"^(?:seed .*|kill runs failed.*|repeat with.*|\d+ of \d+ lives complete.*)$", re.MULTILINE)
_COMPOSE = re.compile(r"^(?P<step>\S.*?) +(?P<seconds>\d+\.\d) s$", re.MULTILINE)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def tests(report: Path) -> str:
    suites = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314 - our own  # nosec B314
    totals: dict[str, float] = dict.fromkeys(("tests", "failures", "errors", "skipped", "time"), 0.0)
    failed: list[str] = []
    for suite in suites:
        for name in totals:
            totals[name] += float(suite.get(name, 0))
        failed += [
            f"{case.get('classname')}::{case.get('name')}"
            for case in suite.iter("testcase")
            if case.find("failure") is not None or case.find("error") is not None
        ]
    seconds = totals.pop("time")
    counts = table([*totals, "seconds"], [[*(f"{value:.0f}" for value in totals.values()), f"{seconds:.0f}"]])
    return counts + "".join(f"\n- failed: `{name}`" for name in failed) + ("\n" if failed else "")


def coverage(text: str) -> str:
    rows = [[found["of"], f"{found['reached']} %", f"{found['asked']} %"] for found in _COVERAGE.finditer(text)]
    return table(["coverage of", "reached", "asked"], rows)


def lines(title: str, found: Iterable[str]) -> str:
    return table([title], [[line] for line in found])


def summary(folder: Path) -> str:
    """Every section has a heading, also where its report is missing."""
    parts: list[str] = []

    def section(title: str, name: str, body: str | None) -> None:
        parts.append(f"### {title}\n\n{f'No report {name}.' if body is None else body}\n")

    for report in sorted(folder.glob("tests*.xml")) or [folder / "tests.xml"]:
        section("Tests", report.name, tests(report) if report.exists() else None)
    check = _text(folder / "check.txt")
    section("Coverage", "check.txt", None if check is None else coverage(check))
    audit = _text(folder / "security.txt") or check
    section("Audit and scans", "check.txt", None if audit is None else lines("result", _AUDIT.findall(audit)))
    kills = _text(folder / "kill-runs.txt")
    section("Kill runs", "kill-runs.txt", None if kills is None else lines("result", _KILLS.findall(kills)))
    compose = _text(folder / "compose.txt")
    if compose is not None:
        rows = [[found["step"], f"{found['seconds']} s"] for found in _COMPOSE.finditer(compose)]
        section("Compose stack and smoke test", "compose.txt", table(["step", "took"], rows))
    return "\n".join(parts)


def _text(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


if __name__ == "__main__":
    sys.stdout.write(summary(Path(sys.argv[1])))
