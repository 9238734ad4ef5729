"""Supervisors on real PostgreSQL and Kafka, with fake services."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_stack.services import SERVICES
from support.processes.supervisor import RunningSupervisor

PACKAGES = (*SERVICES, "sandbox")


@pytest.fixture(scope="session")
def import_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PYTHONPATH with packages that have the names of the services and run fake_service.py."""
    folder = tmp_path_factory.mktemp("packages")
    for name in PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
        (folder / name / "__main__.py").write_text(f"from fake_service import main\nmain({name!r})\n")
    return f"{folder}:{Path(__file__).parent}"


@pytest.fixture
def up(import_path: str, tmp_path: Path) -> Iterator[Callable[..., RunningSupervisor]]:
    """`up(SETTING="value")` starts a supervisor, always on the same folder; the fixture ends them after the test."""
    supervisors: list[RunningSupervisor] = []

    def start(**environment: str) -> RunningSupervisor:
        supervisors.append(RunningSupervisor(tmp_path / "stack", import_path, **environment))
        return supervisors[-1]

    yield start
    for supervisor in supervisors:
        if supervisor.process.poll() is None:
            supervisor.end()
