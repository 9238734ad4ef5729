"""The system in which a test makes an order get stuck."""

from collections.abc import AsyncIterator

import pytest_asyncio
from support.explanations.scene import Scene, running_scene
from support.postgres.databases import Databases


@pytest_asyncio.fixture
async def scene(databases: Databases) -> AsyncIterator[Scene]:
    async with running_scene(databases) as scene:
        yield scene
