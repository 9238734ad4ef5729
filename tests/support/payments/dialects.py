"""The dialects of the payment sandbox and their adapters, for the conformance suite."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from refunds.payment_gateway.adyen import AdyenGateway
from refunds.payment_gateway.stripe import StripeGateway
from support.payments.sandbox import PaymentSandbox

# Hexadecimal, as Adyen's keys are.
SECRET = "5b" * 32
TIMEOUT_SECONDS = 0.5
# For an adapter that has it as a parameter: the same as for Stripe, so that the tests take as long.
LOOKUP_LAG = timedelta(seconds=1)

Adapter = AdyenGateway | StripeGateway


@dataclass(frozen=True)
class Dialect:
    name: str
    """The provider's name, which is also the value of PAYMENT_GATEWAY."""
    path: str
    """The path of its API in the sandbox."""
    connect: Callable[[str, str, float], Adapter]
    """Create the adapter. The arguments are the URL of the API, the secret of webhooks, and the time limit of a call in
    seconds."""
    answers_at_once: bool
    """Whether a call returns the final result of the refund. Otherwise, an event reports it later."""
    has_keys: bool
    """Whether the provider has idempotency keys: a repeated call with the same key makes no second refund."""

    def adapter(self, url: str, secret: str = SECRET, timeout: float = TIMEOUT_SECONDS) -> Adapter:
        return self.connect(url, secret, timeout)

    def sandbox(self, running: PaymentSandbox) -> PaymentSandbox:
        """The control routes of this dialect: its faults, ledger and webhooks."""
        return PaymentSandbox(f"{running.url}{self.path}")


@dataclass(frozen=True)
class Provider:
    """An adapter, and the control routes of the sandbox that it calls."""

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
