"""Run the failed tests once more, alone, and list those that pass now: they are flaky.

    python .ci/repeat_failed.py OUTCOME FLAKY

OUTCOME is the file of the plugin `test_outcome`. The exit status is 0 when all tests pass now. FLAKY then lists them by
name, as do the output and GitHub's summary of the job. A run that was interrupted has failed and is not repeated.
"""

import json
import os
import subprocess  # nosec B404
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

TESTS_FAILED = 1  # pytest's exit status for a complete run in which some tests failed
_PYTEST = (sys.executable, "-m", "coverage", "run", "-m", "pytest")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The exit status of a run of pytest, None if the run was killed, and the names of the failed tests."""

    exit_status: int | None
    failed: list[str]


def main(outcome_file: Path, flaky_file: Path, pytest: Sequence[str] = _PYTEST) -> int:
    first = _read(outcome_file)
    if first.exit_status != TESTS_FAILED or not first.failed:
        _report("The run was interrupted and is not repeated", first.failed)
        return 1
    again = _repeat(pytest, first.failed)
    if again.exit_status not in (0, TESTS_FAILED):
        _report("Failed, and could not be repeated", first.failed)
        return 1
    if again.failed:
        _report("Failed twice", again.failed)
    if flaky := [name for name in first.failed if name not in again.failed]:
        flaky_file.write_text(_report("Flaky: passed only when repeated", flaky))
    return int(again.exit_status != 0)


def _repeat(pytest: Sequence[str], names: Sequence[str]) -> Outcome:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "outcome.json"
        environment = {**os.environ, "TEST_OUTCOME": str(file), "PYTHONPATH": str(Path(__file__).parent)}
        command = [*pytest, "-p", "test_outcome", *names]
        subprocess.run(command, env=environment, check=False)  # nosec B603
        return _read(file)


def _read(file: Path) -> Outcome:
    return Outcome(**json.loads(file.read_text())) if file.exists() else Outcome(None, [])


def _report(title: str, names: Sequence[str]) -> str:
    """Print the names under the title, add them to GitHub's summary, and return the printed text."""
    text = f"{title}{':' if names else '.'}\n" + "".join(f"- {name}\n" for name in names)
    sys.stdout.write(f"\n{text}")
    sys.stdout.flush()
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a") as file:
            file.write(f"### {title}\n\n" + "".join(f"- `{name}`\n" for name in names) + "\n")
    return text


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
