"""`.ci/run` fails when a kill run fails, and names every test that passed only when it was repeated."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from chaos import kill_runs
from demo.client import Unexpected

ROOT = Path(__file__).parents[2]
TESTS = """
from pathlib import Path
import pytest

def test_that_is_steady():
    pass

@pytest.mark.parametrize("text", ["a b", "c"])
def test_that_waits_for_luck(text):
    seen = Path(__file__).with_name(f"seen-{text}")
    was_there = seen.exists()
    seen.touch()
    assert was_there
"""
BROKEN = "\ndef test_that_is_wrong():\n    assert False\n"
CUT_SHORT = "\ndef test_that_ends_it():\n    pytest.exit('enough')\n"


def script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


def run_gate(tmp_path: Path, tests: str, *, fails: str = "none") -> subprocess.CompletedProcess[str]:
    """Run `.ci/run` with a fake `make` that runs these tests and prints the other targets."""
    checkout = tmp_path / "checkout"
    for folder in (".ci", ".venv/bin", "bin", "tests"):
        (checkout / folder).mkdir(parents=True)
    for name in ("run", "test_outcome.py", "repeat_failed.py"):
        (checkout / ".ci" / name).write_bytes((ROOT / ".ci" / name).read_bytes())
    (checkout / "tests" / "test_of_ours.py").write_text(tests)
    script(checkout / ".venv/bin", "python", f'exec {sys.executable} "$@"')
    script(
        checkout / "bin",
        "make",
        f'echo "made $1"; if [ $1 = test ]; then {sys.executable} -m pytest -q tests || exit 2; fi; test $1 != {fails}',
    )
    environment = {"PATH": f"{checkout}/bin:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": f"{checkout}/summary.md"}
    command = ["bash", str(checkout / ".ci" / "run")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_failed_kill_run_is_not_repeated_with_another_seed(tmp_path: Path) -> None:
    process = run_gate(tmp_path, "def test_that_is_steady():\n    pass\n", fails="kill-runs")
    assert process.returncode != 0
    assert process.stdout.count("made kill-runs") == 1


def test_a_test_that_passes_only_when_repeated_is_listed_by_name(tmp_path: Path) -> None:
    process = run_gate(tmp_path, TESTS)
    flaky_list = (
        "Flaky: passed only when repeated:\n"
        "- tests/test_of_ours.py::test_that_waits_for_luck[a b]\n"
        "- tests/test_of_ours.py::test_that_waits_for_luck[c]\n"
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.endswith(flaky_list)
    assert "### Flaky: passed only when repeated" in (tmp_path / "checkout" / "summary.md").read_text()


@pytest.mark.parametrize(
    ("tests", "output"), [(TESTS + BROKEN, "Failed twice:\n- "), (TESTS + CUT_SHORT, "not repeated")]
)
def test_a_test_that_fails_twice_or_is_interrupted_has_failed(tmp_path: Path, tests: str, output: str) -> None:
    process = run_gate(tmp_path, tests)
    assert process.returncode != 0
    assert output in process.stdout
    assert "made check" not in process.stdout


@pytest.mark.parametrize("failure", [Unexpected("an invoice number was used twice"), RuntimeError("the stack ended")])
def test_a_kill_run_prints_its_seed_and_the_command_that_repeats_it(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_stack(folder: Path) -> NoReturn:
        folder.rmdir()
        raise failure

    monkeypatch.setattr(kill_runs, "fresh_stack", no_stack)
    monkeypatch.setattr(sys, "argv", ["kill_runs.py", "--runs", "4", "--seed", "8"])
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(SystemExit) as raised:
        kill_runs.main()
    output = capsys.readouterr()
    assert raised.value.code == 1
    assert output.out.startswith("seed 8, 4 runs\n")
    assert f"kill runs failed: {failure}" in output.err
    assert output.err.endswith("repeat with: make kill-runs RUNS=4 SEED=8\n")
