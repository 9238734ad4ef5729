"""The returns gateway. Most tests share one and create returns of their own; a test that counts gets a new one."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest_asyncio
from returns.app import SERVICE
from support.example.returns import set_caught_up
from support.gateway.application import Gateway, serve
from support.postgres.databases import Databases, MakeDatabase


@pytest_asyncio.fixture(scope="session")
async def gateway(databases: Databases) -> AsyncIterator[Gateway]:
    """A gateway with a short wait, whose copy of the orders counts as caught up for a day."""
    async with serve(SERVICE, databases.create("returns"), eligibility_wait_seconds=0.05) as running:
        await set_caught_up(running.pool, datetime.now(UTC) + timedelta(days=1))
        yield running


@pytest_asyncio.fixture
async def fresh_gateway(make_database: MakeDatabase) -> AsyncIterator[Gateway]:
    """A gateway with the default wait; no consumer has reported a position yet."""
    async with serve(SERVICE, make_database("returns")) as running:
        yield running
