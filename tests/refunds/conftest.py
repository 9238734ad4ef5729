"""The database of refunds, and the payment sandbox in a separate process."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from common.database.transactions import Pool
from refunds.payment_gateway.stripe import StripeGateway
from refunds.worker.refund_job import RefundJob
from support.payments.sandbox import PaymentSandbox, running_payment_sandbox
from support.postgres.databases import Database, MakeDatabase


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    return make_database("refunds")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaymentSandbox]:
    """One sandbox for all tests; each test has its own payments and restricts a fault to one of them."""
    with running_payment_sandbox(tmp_path_factory.mktemp("payments")) as running:
        yield running


@pytest_asyncio.fixture
async def stripe_gateway(sandbox: PaymentSandbox) -> AsyncIterator[StripeGateway]:
    """The real adapter with the sandbox, whose faults are cleared after the test."""
    gateway = StripeGateway(sandbox.url, "sk_test_1", timeout=0.5)
    yield gateway
    await gateway.aclose()
    await sandbox.mend()


@pytest.fixture
def refund_job(pool: Pool, stripe_gateway: StripeGateway) -> RefundJob:
    return RefundJob(stripe_gateway)
