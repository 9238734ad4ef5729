"""The orders gateway. Most tests share one and create orders of their own; a test that counts gets a new one."""

from collections.abc import AsyncIterator

import pytest_asyncio
from orders.app import SERVICE
from support.gateway.application import Gateway, serve
from support.postgres.databases import Databases, MakeDatabase


@pytest_asyncio.fixture(scope="session")
async def gateway(databases: Databases) -> AsyncIterator[Gateway]:
    async with serve(SERVICE, databases.create("orders"), invoice_download_url="https://documents.example") as running:
        yield running


@pytest_asyncio.fixture
async def fresh_gateway(make_database: MakeDatabase) -> AsyncIterator[Gateway]:
    async with serve(SERVICE, make_database("orders")) as running:
        yield running
