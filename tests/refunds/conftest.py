"""The database of refunds, and the payment sandbox as a process of its own."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from refunds.payment_gateway.stripe import StripeGateway
from support.payments.sandbox import PaymentSandbox, running_payment_sandbox
from support.postgres.databases import Database, MakeDatabase


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    return make_database("refunds")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaymentSandbox]:
    """One for all tests: each has payments of its own, and names the one that a fault shall strike."""
    with running_payment_sandbox(tmp_path_factory.mktemp("payments")) as running:
        yield running


@pytest_asyncio.fixture
async def stripe_gateway(sandbox: PaymentSandbox) -> AsyncIterator[StripeGateway]:
    """The real adapter at the sandbox, which is mended after the test."""
    gateway = StripeGateway(sandbox.url, "sk_test_1", timeout=0.5)
    yield gateway
    await gateway.aclose()
    await sandbox.mend()
