"""The dialects of the payment sandbox, each with its adapter: what the conformance suite knows of a provider."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from refunds.payment_gateway.adyen import AdyenGateway
from refunds.payment_gateway.stripe import StripeGateway
from support.payments.sandbox import PaymentSandbox

# Hexadecimal, as Adyen's keys are.
SECRET = "5b" * 32
TIMEOUT_SECONDS = 0.5
# Of a provider whose adapter leaves it open; as that of Stripe.
LOOKUP_LAG = timedelta(seconds=1)

Adapter = AdyenGateway | StripeGateway


@dataclass(frozen=True)
class Dialect:
    name: str
    """Also the value of PAYMENT_GATEWAY."""
    path: str
    """Of its API in the sandbox."""
    connect: Callable[[str, str, float], Adapter]
    """The adapter of an API with this URL, the secret of its webhooks, and the time limit of a call."""
    answers_at_once: bool
    """A refund has succeeded or was declined when the call returns; otherwise its result follows."""
    has_keys: bool
    """A repeated call with the same idempotency key makes no second refund."""

    def adapter(self, url: str, secret: str = SECRET, timeout: float = TIMEOUT_SECONDS) -> Adapter:
        return self.connect(url, secret, timeout)

    def sandbox(self, running: PaymentSandbox) -> PaymentSandbox:
        """The faults, ledger and webhooks of this dialect."""
        return PaymentSandbox(f"{running.url}{self.path}")


@dataclass(frozen=True)
class Provider:
    """An adapter, and the provider that it talks to."""

    dialect: Dialect
    gateway: Adapter
    sandbox: PaymentSandbox


def _stripe(url: str, secret: str, timeout: float) -> Adapter:
    return StripeGateway(url, "sk_test_1", timeout=timeout, webhook_secret=secret)


def _adyen(url: str, secret: str, timeout: float) -> Adapter:
    return AdyenGateway(
        url,
        "test_1",
        merchant_account="ArtiCurated",
        timeout=timeout,
        webhook_secret=secret,
        lookup_lag=LOOKUP_LAG,
    )


# Another provider is one more entry.
DIALECTS = (
    Dialect("stripe", "", _stripe, answers_at_once=True, has_keys=True),
    Dialect("adyen", "/adyen", _adyen, answers_at_once=False, has_keys=False),
)
