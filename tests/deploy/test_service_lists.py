"""Lists of all services that cannot be derived: a new service has to be added to each of them."""

import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from local_stack.services import SERVICES

ROOT = Path(__file__).parents[2]
FOLDERS = {path.parent.name for path in ROOT.glob("services/*/pyproject.toml")}
TOOLS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
CONTRACTS = {contract["name"]: contract for contract in TOOLS["importlinter"]["contracts"]}


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("local_stack.services", SERVICES),
        ("coverage", TOOLS["coverage"]["run"]["source"]),
        ("mypy", [path.removeprefix("services/") for path in TOOLS["mypy"]["mypy_path"].split(":")]),
        ("import-linter", TOOLS["importlinter"]["root_packages"]),
        ("independence", CONTRACTS["Services never import each other"]["modules"]),
        ("inward imports", CONTRACTS["Inside a service, imports point inwards"]["containers"]),
        ("images", [each["service"] for each in WORKFLOW["jobs"]["images"]["strategy"]["matrix"]["include"]]),
    ],
)
def test_every_service_is_in_the_list(name: str, names: list[str]) -> None:
    assert FOLDERS - set(names) == set(), f"{name} lacks a service"


@pytest.mark.parametrize("name", SERVICES)
def test_the_local_stack_runs_every_role_of_a_service(name: str) -> None:
    assert sorted(SERVICES[name].roles) == sorted(importlib.import_module(f"{name}.app").SERVICE.roles)
