"""A database with the table of the handler's lines, and a topic."""

import pytest_asyncio
from common.database.transactions import Pool
from support.kafka.subscribers import create_lines
from support.kafka.topics import MakeTopic
from support.postgres.databases import Database


@pytest_asyncio.fixture
async def topic(make_topic: MakeTopic) -> str:
    return await make_topic(partitions=3)


@pytest_asyncio.fixture
async def pool(database: Database, pool: Pool) -> Pool:
    await create_lines(database)
    return pool
