"""The console with the four services, once for all tests: it keeps nothing of a person but in the browser."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from console.pages import visit
from support.console.stage import Stage
from support.console.system import System, system, system_of
from support.explanations.scene import running_scene
from support.postgres.databases import Databases

# A busy machine may need longer for a part of a page than the limit of production.
PATIENT_SECONDS = 20.0


@pytest.fixture(autouse=True)
def patient_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of a service that hangs sets its own limit."""
    monkeypatch.setattr(visit, "PART_SECONDS", PATIENT_SECONDS)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_system(databases: Databases) -> AsyncIterator[System]:
    async with system(databases.create) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(databases: Databases) -> AsyncIterator[Stage]:
    async with running_scene(databases) as scene, system_of(dict(scene.gateways)) as running:
        yield Stage(scene, running)
