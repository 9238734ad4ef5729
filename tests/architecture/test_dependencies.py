"""Each package declares exactly what it imports."""

from pathlib import Path

import pytest
from architecture.dependencies import other_ranges, projects, undeclared_and_unused
from architecture.source_files import ROOT, write_tree

PYPROJECT = """
[project]
name = "articurated-sample"
version = "1"
dependencies = ["pydantic~=2.14"]
"""


@pytest.mark.parametrize("project", projects(ROOT), ids=lambda project: project.name)
def test_a_package_declares_what_it_imports_and_nothing_else(project: Path) -> None:
    assert undeclared_and_unused(project) == []


def test_an_undeclared_and_an_unused_dependency_are_found(tmp_path: Path) -> None:
    write_tree(tmp_path, {"pyproject.toml": PYPROJECT, "sample/parsing.py": "import msgspec\n"})
    found = undeclared_and_unused(tmp_path)
    assert ["'msgspec'" in finding for finding in found] == [False, True]
    assert ["'pydantic' defined as a dependency but not used" in finding for finding in found] == [True, False]


def test_every_range_of_versions_is_that_of_requirements_in() -> None:
    assert other_ranges(ROOT) == []


def test_another_range_and_a_missing_requirement_are_found(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "requirements.in": "# what runs\npydantic~=2.15\n",
            "services/sample/pyproject.toml": PYPROJECT.replace('"pydantic~=2.14"', '"pydantic~=2.14", "stripe~=16.1"'),
        },
    )
    assert other_ranges(tmp_path) == [
        "sample: pydantic~=2.14, in requirements.in: ~=2.15",
        "sample: stripe~=16.1, in requirements.in: missing",
    ]
