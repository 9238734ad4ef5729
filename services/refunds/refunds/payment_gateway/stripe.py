"""The adapter for Stripe's refunds, also used with the sandbox, which has that part of the API (ADR 12, ADR 36)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal, TypeVar

import aiohttp
import stripe
from stripe.params import EventListParams, RefundCreateParams, RefundListParams

from refunds.payment_gateway.http_session import NEVER_SENT, is_answer, new_session
from refunds.payment_gateway.port import (
    Declined,
    GatewayError,
    GatewayEvent,
    GatewayRefund,
    GatewayRefundStatus,
    GatewayUnavailable,
    OutcomeUnknown,
    RefundCall,
)
from refunds.payment_gateway.stripe_objects import (
    DISPUTE_EVENTS,
    REFERENCE,
    REFUND_EVENTS,
    minor_units,
    read_event,
    read_refund,
    read_signed,
)

_T = TypeVar("_T")
_DECLINES = frozenset({400, 402, 404})
_REJECTED_UNREAD = (stripe.AuthenticationError, stripe.PermissionError, stripe.RateLimitError)
_CHARGES = ("ch_", "py_")
_PAGE = 100
# Read again by each sweep, because an event may appear in the list after a younger one.
_OVERLAP_SECONDS = 60
_FIRST_SWEEP = timedelta(days=3)


class StripeGateway:
    """It makes no retries: the job has a schedule of them. Each call takes `timeout` seconds at most."""

    name = "stripe"
    # At least; https://docs.stripe.com/api/idempotent_requests
    key_lifetime = timedelta(hours=24)
    lookup_lag = timedelta(seconds=1)

    def __init__(self, address: str, api_key: str, *, timeout: float = 8, webhook_secret: str = "") -> None:
        """Raises `ValueError` without an API key."""
        if not api_key.strip():
            raise ValueError("the payment gateway needs an API key")
        self._address = address.rstrip("/")
        self._api_key = api_key
        self._timeout = timeout
        self._webhook_secret = webhook_secret
        self._session: aiohttp.ClientSession | None = None

    async def refund(self, call: RefundCall) -> GatewayRefund:
        """See `PaymentGateway`."""
        try:
            amount = minor_units(call.amount, call.currency)
        except ValueError as error:
            raise Declined(str(error)) from error
        # Without `currency`: a refund has its payment's currency, and Stripe rejects the parameter.
        parameters: RefundCreateParams = {
            "amount": amount,
            "metadata": {REFERENCE: call.reference, "order": call.order_number, "currency": call.currency},
        }
        parameters[_kind_of(call.payment_reference)] = call.payment_reference
        async with self._errors_classified():
            created = await self._api.refunds.create_async(parameters, {"idempotency_key": call.idempotency_key})
            refund = read_refund(created.to_dict())
        if refund.status is GatewayRefundStatus.FAILED:
            raise Declined(f"refund {refund.id} is {created.status}: {refund.reason}")
        # The response repeats the payment as it was named in the request.
        return replace(refund, payment_reference=call.payment_reference)

    async def find(self, call: RefundCall) -> GatewayRefund | None:
        """See `PaymentGateway`."""
        ours = [each for each in await self.refunds_of(call.payment_reference) if each.reference == call.reference]
        effective = [each for each in ours if each.status is not GatewayRefundStatus.FAILED]
        return next(iter([*effective, *ours]), None)

    async def refunds_of(self, payment_reference: str) -> list[GatewayRefund]:
        """See `PaymentGateway`; newest first."""
        parameters: RefundListParams = {"limit": _PAGE}
        parameters[_kind_of(payment_reference)] = payment_reference
        try:
            refunds = [each async for each in self._all(self._api.refunds.list_async(parameters), read_refund)]
        except Declined as decline:
            if _is_missing(decline):
                return []
            raise OutcomeUnknown(f"cannot be looked up: {decline}") from decline
        return [replace(each, payment_reference=payment_reference) for each in refunds]

    async def events_since(self, cursor: str | None) -> tuple[list[GatewayEvent], str | None]:
        """See `PaymentGateway`; the cursor is a time, in seconds since 1970."""
        since = int((datetime.now(UTC) - _FIRST_SWEEP).timestamp()) if cursor is None else int(cursor)
        parameters: EventListParams = {
            "limit": _PAGE,
            "created": {"gte": since - _OVERLAP_SECONDS},
            "types": [*REFUND_EVENTS, *DISPUTE_EVENTS],
        }
        listed = self._all(self._api.events.list_async(parameters), lambda each: (each["created"], read_event(each)))
        newest_first = [each async for each in listed]
        events = [event for _, event in reversed(newest_first) if event is not None]
        newest = max((created for created, _ in newest_first), default=since)
        return events, str(max(newest, since))

    async def refunds_since(self, since: datetime) -> AsyncIterator[GatewayRefund]:
        """See `PaymentGateway`; newest first."""
        parameters: RefundListParams = {"limit": _PAGE, "created": {"gte": int(since.timestamp())}}
        async for each in self._all(self._api.refunds.list_async(parameters), read_refund):
            yield each

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> GatewayEvent | None:
        """See `PaymentGateway`."""
        return read_signed(headers, body, now, self._webhook_secret)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    @cached_property
    def _api(self) -> stripe.V1Services:
        """Of a session that belongs to the event loop of the first call."""
        self._session = new_session(self._timeout, certificates=stripe.ca_bundle_path)
        return stripe.StripeClient(
            self._api_key,
            base_addresses={"api": self._address},
            http_client=stripe.AIOHTTPClient(timeout=None, session=self._session),
            max_network_retries=0,
        ).v1

    async def _all(
        self, next_page: "Awaitable[stripe.ListObject[Any]]", read: Callable[[Mapping[str, Any]], _T]
    ) -> AsyncIterator[_T]:
        """The objects of this page and of those that follow, as `read` returns them; the time limit is that of one
        page."""
        while True:
            async with self._errors_classified():
                page = await next_page
                objects = [read(each.to_dict()) for each in page.data]
            for each in objects:
                yield each
            if not page.has_more:
                return
            next_page = page.next_page_async()

    @asynccontextmanager
    async def _errors_classified(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {self._timeout:g} s") from None
        except stripe.StripeError as error:
            raise _failure(error) from error
        except aiohttp.ClientError as error:  # the SDK does not catch what fails while the body is read
            raise OutcomeUnknown(f"no whole answer: {type(error).__name__}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise OutcomeUnknown(f"the answer cannot be read: {error!r}") from error


def _failure(error: stripe.StripeError) -> Exception:
    """What an error of the SDK says about the refund (https://docs.stripe.com/error-low-level).

    401, 403 and 429 come before a request is processed, and 409 while another one with its key is. 400, 402 and 404
    are declines; another 4xx says that something is wrong with our requests or their way. Stripe keeps these, and a
    500, for their idempotency key for at least 24 hours; other 5xx may come from a proxy, while the request is still on
    its way.
    """
    status = error.http_status
    text = f"{status} {error.code or type(error).__name__}: {error.user_message}"
    if isinstance(error, _REJECTED_UNREAD):
        return GatewayUnavailable(text, _retry_after(error))
    if status is None:
        cause = error.__cause__
        name = type(cause or error).__name__
        if isinstance(cause, NEVER_SENT):
            return GatewayUnavailable(f"not reached: {name}")
        return OutcomeUnknown(f"no answer: {name}")
    if status in _DECLINES:
        return Declined(text)
    return GatewayError(text) if is_answer(status) else OutcomeUnknown(text)


def _retry_after(error: stripe.StripeError) -> float | None:
    """In seconds; the header may also be a date, which Stripe does not send."""
    text = (error.headers or {}).get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _is_missing(decline: Declined) -> bool:
    """The gateway does not know the payment, and so has no refund of it."""
    return isinstance(decline.__cause__, stripe.StripeError) and decline.__cause__.code == "resource_missing"


def _kind_of(payment_reference: str) -> Literal["charge", "payment_intent"]:
    return "charge" if payment_reference.startswith(_CHARGES) else "payment_intent"
