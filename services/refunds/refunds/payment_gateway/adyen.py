"""The adapter for refunds in the manner of Adyen: asynchronous, and without idempotency keys (ADR 37).

Its look-ups read the two reports of the sandbox, which have no counterpart in Adyen's API, where reports are files.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from refunds.payment_gateway.adyen_objects import (
    merchant_reference,
    minor_units,
    read_item,
    read_refund,
    read_signed,
)
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

LOOKUP_LAG = timedelta(seconds=30)
_REJECTED_UNREAD = frozenset({401, 403, 429})
_INVALID = frozenset({400, 404, 422})
# Of one sweep; the next one continues.
_PAGES = 20


class AdyenGateway:
    """It makes no retries: the job has a schedule of them. Each call takes `timeout` seconds at most."""

    name = "adyen"
    key_lifetime = None

    def __init__(
        self,
        address: str,
        api_key: str,
        *,
        merchant_account: str,
        timeout: float = 8,
        webhook_secret: str = "",
        lookup_lag: timedelta = LOOKUP_LAG,
    ) -> None:
        """Raises `ValueError` without an API key."""
        if not api_key.strip():
            raise ValueError("the payment gateway needs an API key")
        self.lookup_lag = lookup_lag
        self._account = merchant_account
        self._timeout = timeout
        self._webhook_secret = webhook_secret
        self._api = f"{address.rstrip('/')}/v71"
        self._headers = {"X-API-Key": api_key}

    async def refund(self, call: RefundCall) -> GatewayRefund:
        """Request the refund: the result follows. See `PaymentGateway`; without a key, each call makes a refund."""
        try:
            units = minor_units(call.amount, call.currency)
        except ValueError as error:
            raise Declined(str(error)) from error
        request = {
            "merchantAccount": self._account,
            "amount": {"value": units, "currency": call.currency},
            "reference": merchant_reference(call.reference),
        }
        path = f"payments/{quote(call.payment_reference, safe='')}/refunds"
        async with self._errors_classified():
            received = await self._request("POST", path, json=request)
            refund_id = str(received["pspReference"])
        return GatewayRefund(
            id=refund_id,
            status=GatewayRefundStatus.PENDING,
            reference=call.reference,
            payment_reference=call.payment_reference,
            amount=call.amount,
            currency=call.currency,
            reason=None,
            created_at=datetime.now(UTC),
        )

    async def find(self, call: RefundCall) -> GatewayRefund | None:
        """See `PaymentGateway`."""
        reference = merchant_reference(call.reference)
        found = await self._looked_up(paymentPspReference=call.payment_reference, merchantReference=reference)
        ours = [replace(each, reference=call.reference) for each in found]
        effective = [each for each in ours if each.status is not GatewayRefundStatus.FAILED]
        return next(iter([*effective, *ours]), None)

    async def refunds_of(self, payment_reference: str) -> list[GatewayRefund]:
        """See `PaymentGateway`; newest first."""
        return await self._looked_up(paymentPspReference=payment_reference)

    async def events_since(self, cursor: str | None) -> tuple[list[GatewayEvent], str | None]:
        """See `PaymentGateway`; the cursor is the report's."""
        events: list[GatewayEvent] = []
        for _ in range(_PAGES):
            async with self._errors_classified():
                page = await self._page("notifications", cursor, {})
                events += [event for item in page["data"] if (event := read_item(item)) is not None]
            cursor = page["next"]
            if not page["data"]:
                break
        return events, cursor

    async def refunds_since(self, since: datetime) -> AsyncIterator[GatewayRefund]:
        """See `PaymentGateway`; newest first."""
        cursor, query = None, {"createdFrom": str(int(since.timestamp()))}
        while True:
            async with self._errors_classified():
                page = await self._page("refunds", cursor, query)
                refunds = [read_refund(entry) for entry in page["data"]]
            for each in refunds:
                yield each
            cursor = page["next"]
            if cursor is None:
                return

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> GatewayEvent | None:
        """See `PaymentGateway`."""
        return read_signed(body, self._webhook_secret)

    async def aclose(self) -> None:
        if "_session" in vars(self):
            await self._session.close()

    @cached_property
    def _session(self) -> aiohttp.ClientSession:
        """It belongs to the event loop of the first call."""
        return new_session(self._timeout)

    async def _looked_up(self, **query: str) -> list[GatewayRefund]:
        refunds: list[GatewayRefund] = []
        cursor = None
        try:
            while True:
                async with self._errors_classified():
                    page = await self._page("refunds", cursor, query)
                    refunds += [read_refund(entry) for entry in page["data"]]
                cursor = page["next"]
                if cursor is None:
                    return refunds
        except Declined as error:
            raise OutcomeUnknown(f"cannot be looked up: {error}") from error

    async def _page(self, report: str, cursor: str | None, query: Mapping[str, str]) -> dict[str, Any]:
        after = {} if cursor is None else {"after": cursor}
        return await self._request("GET", f"reports/{report}", params={**query, **after})

    async def _request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The JSON object of the response. Raises `GatewayFailure` for an error
        (https://docs.adyen.com/development-resources/error-codes): 401, 403 and 429 come before a request is
        processed, 400, 404 and 422 say that it is invalid; another 4xx, such as a 402, says neither."""
        url = f"{self._api}/{path}"
        async with self._session.request(method, url, headers=self._headers, **options) as response:
            body, status = await response.read(), response.status
        if 200 <= status < 300:
            return msgspec.json.decode(body, type=dict[str, Any])
        text = f"{status}: {body[:200].decode(errors='replace')}"
        if status in _REJECTED_UNREAD:
            after = response.headers.get("retry-after", "")
            raise GatewayUnavailable(text, float(after) if after.isascii() and after.isdigit() else None)
        if status in _INVALID:
            raise Declined(text)
        raise GatewayError(text, answer_is_kept=False) if is_answer(status) else OutcomeUnknown(text)

    @asynccontextmanager
    async def _errors_classified(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {self._timeout:g} s") from None
        except NEVER_SENT as error:
            raise GatewayUnavailable(f"not reached: {type(error).__name__}") from error
        except aiohttp.ClientError as error:
            raise OutcomeUnknown(f"no answer: {type(error).__name__}") from error
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise OutcomeUnknown(f"the answer cannot be read: {error!r}") from error
