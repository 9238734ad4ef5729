"""One stack and one browser for all tests of the console in a browser."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from demo.client import Shop
from local_stack.stack_json import StackDescription
from playwright.async_api import Browser
from support.browser.chromium import CHROMIUM, chromium
from support.failures.final_failures import Stage
from support.processes.stack import RunningStack, new_stack

SETTINGS = {
    "RETRY_UNIT_SECONDS": "0.2",
    "RECONCILE_SECONDS": "2",
    "FOUR_EYES_ABOVE": "200",
}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningStack]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with new_stack(SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def stack(running: RunningStack) -> StackDescription:
    return running.description


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def stage(running: RunningStack) -> AsyncIterator[Stage]:
    shop = Shop(running.description)
    yield Stage(shop, running.folder)
    await shop.close()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def browser(running: RunningStack) -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened
