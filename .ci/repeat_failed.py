"""Run the tests that failed once more, alone, and say which of them pass only then.

    python .ci/repeat_failed.py OUTCOME UNSTEADY

OUTCOME is what the plugin `test_outcome` wrote. Ends with 0 when all pass now; UNSTEADY then lists them by name, and so
do the output and GitHub's summary of the job. A run that did not come to its end is not repeated: it has failed.
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
    """How a run of pytest ended, and which tests failed. The status is None when it did not end by itself."""

    exit_status: int | None
    failed: list[str]


def main(outcome_file: Path, unsteady_file: Path, pytest: Sequence[str] = _PYTEST) -> int:
    first = _read(outcome_file)
    if first.exit_status != TESTS_FAILED or not first.failed:
        _tell("The tests did not run to their end, which is not repeated", first.failed)
        return 1
    again = _repeat(pytest, first.failed)
    if again.exit_status not in (0, TESTS_FAILED):
        _tell("Failed, and could not be repeated", first.failed)
        return 1
    _tell("Failed twice", again.failed)
    unsteady = _tell("Passed only when repeated, and to be mended", [e for e in first.failed if e not in again.failed])
    unsteady_file.write_text(unsteady)
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


def _tell(what: str, names: Sequence[str]) -> str:
    """Writes nothing when nothing has a name, unless that is what is to be told."""
    if not names and not what.startswith("The tests did not"):
        return ""
    text = f"{what}{':' if names else '.'}\n" + "".join(f"- {name}\n" for name in names)
    sys.stdout.write(f"\n{text}")
    sys.stdout.flush()
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a") as file:
            file.write(f"### {what}\n\n" + "".join(f"- `{name}`\n" for name in names) + "\n")
    return text


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
