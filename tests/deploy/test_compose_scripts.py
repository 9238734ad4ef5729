"""The scripts of the Compose stack when a step fails: they name it, show its log and retain it."""

import os
import re
import subprocess
from pathlib import Path

import pytest

COMPOSE = Path(__file__).parents[1] / "compose"
# A fake engine that succeeds, except for the command that a test lets fail.
DOCKER = """case "$*" in
  "compose version"*) exit 1 ;;
  "image inspect articurated-test"*) exit 1 ;;
  $FAILS*) echo "the $FAILS of this test fails"; exit 3 ;;
esac"""


def run(tmp_path: Path, script: str, fails: str, **programs: str) -> subprocess.CompletedProcess[str]:
    programs = {"docker": DOCKER, "fake-compose": DOCKER, **programs}
    tmp_path.joinpath("bin").mkdir()
    for name, text in programs.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/bash\n{text}\n")
        program.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "CACHE": f"{tmp_path}/cache",
        "TMPDIR": str(tmp_path),
        "FAILS": fails,
        **({"COMPOSE": "fake-compose"} if fails != "go" else {}),
    }
    command = ["bash", str(COMPOSE / script), "true"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("script", "fails", "step"),
    [
        ("run.sh", "go", "Compose"),
        ("run.sh", "version", "Compose"),
        ("run.sh", "config", "Compose"),
        ("run.sh", "build", "image of console"),
        ("run.sh", "run", "check of the image of console"),
        ("with_engine.sh", "dockerd", "engine"),
        ("with_engine.sh", "debootstrap", "base image"),
    ],
)
def test_a_failed_step_is_named_and_its_log_is_shown_and_stored(
    tmp_path: Path, script: str, fails: str, step: str
) -> None:
    broken = f"echo 'the {fails} of this test fails' >&2; exit 3"
    programs = {"dockerd": "sleep 30", "debootstrap": "exit 0", fails: broken}
    if fails == "debootstrap":
        programs["docker"] = "[[ $1 == info || $1 == buildx ]]"  # without buildx, Debian's docker would be used
    if fails == "dockerd":
        programs["docker"] = "exit 1"
    process = run(tmp_path, script, fails, **(programs if fails in {"go", "dockerd", "debootstrap"} else {}))
    output = process.stdout + process.stderr
    assert process.returncode not in (0, None), output
    assert f"the {fails} of this test fails" in output
    assert f": {step}\n" in output
    log_folder = re.search(r"^logs: (.*)$", output, flags=re.MULTILINE)
    assert log_folder is not None
    if fails != "run":
        assert f"the {fails} of this test fails" in "".join(file.read_text() for file in Path(log_folder[1]).iterdir())
