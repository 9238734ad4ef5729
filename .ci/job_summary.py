"""Convert the reports of a CI run to Markdown tables for the summary page of the run.

    python .ci/job_summary.py reports >> "$GITHUB_STEP_SUMMARY"

Reads tests*.xml (JUnit), check.txt, security.txt, kill-runs.txt and compose.txt. A report that is missing is named, so
that it is not taken for a success.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree  # trusted: written by this run  # nosec B405

_COVERAGE = re.compile(r"^(?P<group>[\w ]+): (?P<percent>[\d.]+) % of (?P<minimum>\d+) %$", re.MULTILINE)
_AUDIT = re.compile(r"^(?:dependency audit.*|secret scan.*|NOT CHECKED.*)$", re.MULTILINE)
_KILLS = re.compile(r"^(?:seed .*|kill runs failed.*|repeat with.*|\d+ of \d+ runs complete.*)$", re.MULTILINE)
_COMPOSE = re.compile(r"^(?P<step>\S.*?) +(?P<seconds>\d+\.\d) s$", re.MULTILINE)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def tests(report: Path) -> str:
    suites = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314 - trusted  # nosec B314
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
    rows = [[gate["group"], f"{gate['percent']} %", f"{gate['minimum']} %"] for gate in _COVERAGE.finditer(text)]
    return table(["files", "coverage", "minimum"], rows)


def lines(title: str, texts: Iterable[str]) -> str:
    return table([title], [[text] for text in texts])


def summary(folder: Path) -> str:
    """A section for each report, with a note where the report is missing."""
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
        rows = [[step["step"], f"{step['seconds']} s"] for step in _COMPOSE.finditer(compose)]
        section("Compose stack and smoke test", "compose.txt", table(["step", "duration"], rows))
    return "\n".join(parts)


def _text(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


if __name__ == "__main__":
    sys.stdout.write(summary(Path(sys.argv[1])))
