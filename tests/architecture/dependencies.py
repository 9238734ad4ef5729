"""The rules for dependencies: a package declares exactly what it imports, with the ranges of requirements.in."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECTS = ("libs/common", "services/*", "deploy/*")


def projects(root: Path) -> list[Path]:
    return sorted(path.parent for pattern in PROJECTS for path in root.glob(f"{pattern}/pyproject.toml"))


def undeclared_and_unused(project: Path) -> list[str]:
    """What deptry finds: an import that pyproject.toml does not declare, and a declaration that nothing imports."""
    command = [sys.executable, "-m", "deptry", ".", "--config", "pyproject.toml", "--no-ansi"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    findings = [line for line in done.stderr.splitlines() if re.search(r"\bDEP\d+\b", line)]
    if done.returncode and not findings:
        raise RuntimeError(done.stderr)
    return [f"{project.name}: {finding}" for finding in findings]


def other_ranges(root: Path) -> list[str]:
    """Version ranges that differ from those of requirements.in, and requirements that it lacks."""
    ranges = dict(_split(line) for line in _requirements((root / "requirements.in").read_text().splitlines()))
    found = []
    for project in projects(root):
        declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]["dependencies"]
        for name, version_range in map(_split, declared):
            if not name.startswith("articurated-") and ranges.get(name) != version_range:
                found.append(
                    f"{project.name}: {name}{version_range}, in requirements.in: {ranges.get(name, 'missing')}"
                )
    return found


def _requirements(lines: list[str]) -> list[str]:
    return [text for line in lines if (text := line.partition("#")[0].strip())]


def _split(requirement: str) -> tuple[str, str]:
    """The name without extras, and the range."""
    match = re.fullmatch(r"([A-Za-z0-9_.-]+?)(?:\[[^\]]*\])?\s*((?:[~<>=!].*)?)", requirement)
    assert match is not None, requirement
    return match[1].lower(), match[2]
