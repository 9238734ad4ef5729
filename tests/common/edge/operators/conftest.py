"""A gateway of the vase service for each test, and a client of an operator that checks each response."""

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from support.gateway.operator_tasks import SERVICE, open_checked_client
from support.gateway.vase_service import VaseGateway, open_vase_gateway
from support.postgres.databases import Database


@pytest_asyncio.fixture
async def vase_gateway(database: Database) -> AsyncIterator[VaseGateway]:
    async with open_vase_gateway(database, service=SERVICE) as vase_gateway:
        yield vase_gateway


@pytest_asyncio.fixture
async def ops(vase_gateway: VaseGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with open_checked_client(vase_gateway, "ops") as client:
        yield client
