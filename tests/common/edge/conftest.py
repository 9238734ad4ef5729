"""The gateway of the vase service, shared by the tests of a module; a module may override it."""

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from support.gateway.vase_service import VaseGateway, open_vase_gateway
from support.postgres.databases import Databases


@pytest_asyncio.fixture(scope="module")
async def vase_gateway(databases: Databases) -> AsyncIterator[VaseGateway]:
    database = databases.create()
    async with open_vase_gateway(database) as vase_gateway:
        yield vase_gateway
    databases.drop(database)


@pytest_asyncio.fixture
async def client(vase_gateway: VaseGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with vase_gateway.client() as client:
        yield client
