"""The payment gateway: Stripe's refunds, or the sandbox that speaks that part of its API (ADR 0012)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Literal

import httpx
import stripe
from common.money import minor_digits, to_minor_units
from stripe.params import RefundCreateParams, RefundListParams

from refunds.domain import Refund
from refunds.use_cases.payment import Declined, GatewayError, GatewayUnavailable, OutcomeUnknown

REFERENCE = "reference"
# A refund in one of these states pays nothing back; in `pending` and `requires_action` it is under way.
_WITHOUT_EFFECT = frozenset({"failed", "canceled"})
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_TURNED_AWAY = (stripe.AuthenticationError, stripe.PermissionError, stripe.RateLimitError)
_CHARGES = ("ch_", "py_")
_PAGE = 100


class StripeGateway:
    """Calls are not repeated here, that is the job schedule's business; each takes `timeout` seconds at most."""

    def __init__(self, address: str, api_key: str, *, timeout: float = 8) -> None:
        """Raises `ValueError` without an API key."""
        if not api_key.strip():
            raise ValueError("the payment gateway takes no calls without an API key")
        self._timeout = timeout
        self._http = stripe.HTTPXClient(timeout=timeout)
        self._refunds = stripe.StripeClient(
            api_key,
            base_addresses={"api": address.rstrip("/")},
            http_client=self._http,
            max_network_retries=0,
        ).v1.refunds

    async def refund(self, refund: Refund) -> str:
        """Make the refund and return Stripe's id of it; see `PaymentGateway`."""
        claim = refund.claim
        try:
            amount = minor_units(claim.amount, claim.currency)
        except ValueError as error:
            raise Declined(str(error)) from error
        # Without `currency`: a refund has its payment's currency, and Stripe refuses to be told.
        wanted: RefundCreateParams = {
            "amount": amount,
            "metadata": {REFERENCE: refund.reference, "order": claim.order_number, "currency": claim.currency},
        }
        wanted[_kind_of(claim.payment_reference)] = claim.payment_reference
        async with self._classified():
            made = await self._refunds.create_async(wanted, {"idempotency_key": refund.idempotency_key})
        if made.status in _WITHOUT_EFFECT:
            raise Declined(f"refund {made.id} is {made.status}: {made.failure_reason}")
        return made.id

    async def find(self, refund: Refund) -> str | None:
        """Go through all refunds of the payment for the one that carries our reference; see `PaymentGateway`."""
        wanted: RefundListParams = {"limit": _PAGE}
        wanted[_kind_of(refund.claim.payment_reference)] = refund.claim.payment_reference
        try:
            async with self._classified():
                listed = await self._refunds.list_async(wanted)
                async for found in listed.auto_paging_iter():
                    if found.status not in _WITHOUT_EFFECT and _reference_of(found) == refund.reference:
                        return found.id
        except Declined as refusal:
            if not _is_missing(refusal):
                raise OutcomeUnknown(f"cannot be looked up: {refusal}") from refusal
        return None

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK left it so

    @asynccontextmanager
    async def _classified(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {self._timeout:g} s") from None
        except stripe.StripeError as error:
            raise _failure(error) from error


def _failure(error: stripe.StripeError) -> Exception:
    """What an error of the SDK says about the refund (https://docs.stripe.com/error-low-level).

    401, 403 and 429 come before a request is carried out, and 409 while another one with its key is. Other refusals are
    for good. Stripe keeps these, and a 500, for their idempotency key for at least 24 hours; other 5xx may come from
    something that stands between, while the request is still on its way.
    """
    status = error.http_status
    told = f"{status} {error.code or type(error).__name__}: {error.user_message}"
    if isinstance(error, _TURNED_AWAY):
        return GatewayUnavailable(told)
    if status is None:
        cause = error.__cause__
        name = type(cause or error).__name__
        if isinstance(cause, _NEVER_SENT):
            return GatewayUnavailable(f"not reached: {name}")
        return OutcomeUnknown(f"no answer: {name}")
    if status == 500:
        return GatewayError(told)
    return Declined(told) if status in {400, 402, 404} else OutcomeUnknown(told)


def _is_missing(refusal: Declined) -> bool:
    """The gateway does not know the payment, and so has no refund of it."""
    return isinstance(refusal.__cause__, stripe.StripeError) and refusal.__cause__.code == "resource_missing"


def _kind_of(payment_reference: str) -> Literal["charge", "payment_intent"]:
    return "charge" if payment_reference.startswith(_CHARGES) else "payment_intent"


def _reference_of(refund: stripe.Refund) -> str | None:
    metadata = refund.metadata
    return metadata[REFERENCE] if metadata is not None and REFERENCE in metadata else None


def minor_units(amount: Decimal, currency: str) -> int:
    """The amount as Stripe counts it, which is not always ISO 4217 (https://docs.stripe.com/currencies).

    ISK and UGX have no decimals but are counted in hundredths, MGA has fifths but is counted in whole ariary, and of
    currencies with three decimals the last must be 0. Raises `ValueError` for an amount that cannot be told exactly.
    """
    if currency == "MGA":
        if amount != amount.to_integral_value():
            raise ValueError(f"Stripe refunds whole MGA only, not {amount}")
        return int(amount)
    units = to_minor_units(amount, currency)
    if currency in {"ISK", "UGX"}:
        return units * 100
    if minor_digits(currency) == 3 and units % 10 != 0:
        raise ValueError(f"Stripe refunds {currency} with two decimals only, not {amount}")
    return units
