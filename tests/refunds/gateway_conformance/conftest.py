"""Every adapter with its dialect of the sandbox."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from refunds.payment_gateway.port import RefundCall
from support.example.refunds import a_refund
from support.payments.dialects import DIALECTS, SECRET, Dialect, Provider
from support.payments.sandbox import PaymentSandbox
from support.payments.webhook_receiver import WebhookReceiver, webhook_receiver


@pytest_asyncio.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
async def provider(request: pytest.FixtureRequest, sandbox: PaymentSandbox) -> AsyncIterator[Provider]:
    dialect: Dialect = request.param
    own_sandbox = dialect.sandbox(sandbox)
    gateway = dialect.adapter(own_sandbox.url)
    # Each test has its own payments.
    yield Provider(dialect, gateway, own_sandbox)
    await gateway.aclose()
    await own_sandbox.mend()


@pytest_asyncio.fixture
async def receiver(provider: Provider) -> AsyncIterator[WebhookReceiver]:
    """It receives the webhooks of the provider."""
    async with webhook_receiver() as running:
        await provider.sandbox.send_webhooks(running.url, SECRET)
        yield running
        await provider.sandbox.send_no_webhooks()


@pytest_asyncio.fixture
async def call(provider: Provider) -> RefundCall:
    """Ada's refund of 79.06 EUR, of a payment that has much more."""
    call = RefundCall.of(a_refund())
    await provider.sandbox.declare_capture(call.payment_reference, 10**9, call.currency)
    return call
