"""A complete stack, as `make up` runs it, for tests of an order from end to end."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from demo.client import Shop
from local_stack.stack_json import StackDescription
from support.api_examples.webhooks import WEBHOOK_SECRET
from support.processes.stack import RunningStack, new_stack

SETTINGS = {"RETRY_UNIT_SECONDS": "0.2", "PAYMENT_WEBHOOK_SECRET": WEBHOOK_SECRET}


@pytest.fixture(scope="package")
def running() -> Iterator[RunningStack]:
    """One for all modules that a process of the test run gets: its start takes longer than most of the tests."""
    with new_stack(SETTINGS) as running:
        yield running


@pytest.fixture(scope="package")
def stack(running: RunningStack) -> StackDescription:
    return running.description


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shop(stack: StackDescription) -> AsyncIterator[Shop]:
    shop = Shop(stack)
    yield shop
    await shop.close()
