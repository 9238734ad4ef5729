"""A complete stack, as `make up` runs it, for tests of an order from end to end."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from demo.client import Shop
from demo.own_stack import fresh_stack
from local_stack.stack_json import StackDescription
from support.api_examples.webhooks import WEBHOOK_SECRET

SETTINGS = {"RATE_LIMIT_PER_MINUTE": "0", "RETRY_UNIT_SECONDS": "0.2", "PAYMENT_WEBHOOK_SECRET": WEBHOOK_SECRET}


@pytest.fixture(scope="module")
def stack() -> Iterator[StackDescription]:
    with (
        TemporaryDirectory(prefix="articurated-e2e-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name, value in SETTINGS.items():
            environment.setenv(name, value)
        with fresh_stack(Path(folder) / "stack") as description:
            yield description


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shop(stack: StackDescription) -> AsyncIterator[Shop]:
    shop = Shop(stack)
    yield shop
    await shop.close()
