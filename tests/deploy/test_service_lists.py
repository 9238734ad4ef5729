"""Lists of all services that cannot be derived: a new service has to be added to each of them."""

import importlib
import re
from pathlib import Path

import pytest
import yaml
from local_stack.services import SERVICES

ROOT = Path(__file__).parents[2]
# The console has no database and no role of its own: it is listed beside the services.
FOLDERS = {path.parent.name for path in ROOT.glob("services/*/pyproject.toml")}
CONSOLE = "console"
BUSINESS = FOLDERS - {CONSOLE}


def test_the_local_stack_has_every_service() -> None:
    assert SERVICES.keys() == BUSINESS


@pytest.mark.parametrize("name", SERVICES)
def test_the_local_stack_runs_every_role_of_a_service(name: str) -> None:
    assert sorted(SERVICES[name].roles) == sorted(importlib.import_module(f"{name}.app").SERVICE.roles)


def test_every_list_of_services_in_pyproject_is_complete() -> None:
    for number, line in enumerate((ROOT / "pyproject.toml").read_text().splitlines(), start=1):
        names = FOLDERS & set(re.findall(r"\w+", line))
        assert len(names) < 2 or names >= BUSINESS, f"pyproject.toml:{number} lacks {BUSINESS - names}"


@pytest.mark.parametrize("list_of", ["source", "mypy_path", "root_packages", "ancestors"])
def test_the_console_is_in_the_lists_of_pyproject_that_name_every_package(list_of: str) -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith(f"{list_of} = ") and "orders" in each)
    assert CONSOLE in re.findall(r"\w+", line)


def test_the_workflow_builds_an_image_of_every_service() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    images = workflow["jobs"]["images"]["strategy"]["matrix"]["include"]
    assert {image["service"] for image in images} >= FOLDERS
