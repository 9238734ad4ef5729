"""The adapter for Stripe's refunds, also used with the sandbox, which has that part of the API (ADR 12)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Literal

import httpx
import stripe
from common.money import fits, minor_digits
from stripe.params import RefundCreateParams, RefundListParams

from refunds.domain.refund import Refund
from refunds.payment_gateway.port import Declined, GatewayError, GatewayUnavailable, OutcomeUnknown

REFERENCE = "reference"
# A refund in one of these states pays nothing back; in `pending` and `requires_action` it is under way.
_WITHOUT_EFFECT = frozenset({"failed", "canceled"})
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_REJECTED_UNREAD = (stripe.AuthenticationError, stripe.PermissionError, stripe.RateLimitError)
_CHARGES = ("ch_", "py_")
_PAGE = 100


class StripeGateway:
    """It makes no retries: the job has a schedule of them. Each call takes `timeout` seconds at most."""

    def __init__(self, address: str, api_key: str, *, timeout: float = 8) -> None:
        """Raises `ValueError` without an API key."""
        if not api_key.strip():
            raise ValueError("the payment gateway needs an API key")
        self._timeout = timeout
        self._http = stripe.HTTPXClient(timeout=timeout)
        self._refunds = stripe.StripeClient(
            api_key, base_addresses={"api": address.rstrip("/")}, http_client=self._http, max_network_retries=0
        ).v1.refunds

    async def refund(self, refund: Refund) -> str:
        """Make the refund and return Stripe's id of it; see `PaymentGateway`."""
        request = refund.request
        try:
            amount = minor_units(request.amount, request.currency)
        except ValueError as error:
            raise Declined(str(error)) from error
        # Without `currency`: a refund has its payment's currency, and Stripe rejects the parameter.
        parameters: RefundCreateParams = {
            "amount": amount,
            "metadata": {REFERENCE: refund.reference, "order": request.order_number, "currency": request.currency},
        }
        parameters[_kind_of(request.payment_reference)] = request.payment_reference
        async with self._errors_classified():
            created = await self._refunds.create_async(parameters, {"idempotency_key": refund.idempotency_key})
        if created.status in _WITHOUT_EFFECT:
            raise Declined(f"refund {created.id} is {created.status}: {created.failure_reason}")
        return created.id

    async def find(self, refund: Refund) -> str | None:
        """Search all refunds of the payment for the one that carries our reference; see `PaymentGateway`."""
        parameters: RefundListParams = {"limit": _PAGE}
        parameters[_kind_of(refund.request.payment_reference)] = refund.request.payment_reference
        try:
            async with self._errors_classified():
                page = await self._refunds.list_async(parameters)
                async for each in page.auto_paging_iter():
                    if each.status not in _WITHOUT_EFFECT and _reference_of(each) == refund.reference:
                        return each.id
        except Declined as decline:
            if not _is_missing(decline):
                raise OutcomeUnknown(f"cannot be looked up: {decline}") from decline
        return None

    async def aclose(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK has no type here

    @asynccontextmanager
    async def _errors_classified(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {self._timeout:g} s") from None
        except stripe.StripeError as error:
            raise _failure(error) from error


def _failure(error: stripe.StripeError) -> Exception:
    """What an error of the SDK says about the refund (https://docs.stripe.com/error-low-level).

    401, 403 and 429 come before a request is processed, and 409 while another one with its key is. Other 4xx are
    permanent. Stripe keeps these, and a 500, for their idempotency key for at least 24 hours; other 5xx may come from
    a proxy, while the request is still on its way.
    """
    status = error.http_status
    text = f"{status} {error.code or type(error).__name__}: {error.user_message}"
    if isinstance(error, _REJECTED_UNREAD):
        return GatewayUnavailable(text)
    if status is None:
        cause = error.__cause__
        name = type(cause or error).__name__
        if isinstance(cause, _NEVER_SENT):
            return GatewayUnavailable(f"not reached: {name}")
        return OutcomeUnknown(f"no answer: {name}")
    if status == 500:
        return GatewayError(text)
    return Declined(text) if status in {400, 402, 404} else OutcomeUnknown(text)


def _is_missing(decline: Declined) -> bool:
    """The gateway does not know the payment, and so has no refund of it."""
    return isinstance(decline.__cause__, stripe.StripeError) and decline.__cause__.code == "resource_missing"


def _kind_of(payment_reference: str) -> Literal["charge", "payment_intent"]:
    return "charge" if payment_reference.startswith(_CHARGES) else "payment_intent"


def _reference_of(refund: stripe.Refund) -> str | None:
    metadata = refund.metadata
    return metadata[REFERENCE] if metadata is not None and REFERENCE in metadata else None


def minor_units(amount: Decimal, currency: str) -> int:
    """The amount in Stripe's units, which are not always those of ISO 4217 (https://docs.stripe.com/currencies).

    ISK and UGX have no decimals but are counted in hundredths, MGA has fifths but is counted in whole ariary, and of
    currencies with three decimals the last must be 0. Raises `ValueError` for an amount that has no exact value there.
    """
    if currency == "MGA":
        if amount != amount.to_integral_value():
            raise ValueError(f"Stripe refunds whole MGA only, not {amount}")
        return int(amount)
    if not fits(amount, currency):
        raise ValueError(f"{amount} has more decimals than {currency}")
    units = int(amount.scaleb(minor_digits(currency)))
    if currency in {"ISK", "UGX"}:
        return units * 100
    if minor_digits(currency) == 3 and units % 10 != 0:
        raise ValueError(f"Stripe refunds {currency} with two decimals only, not {amount}")
    return units
