"""A payment gateway in memory, with a ledger and faults, for tests that need no provider."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from refunds.payment_gateway.port import (
    Declined,
    ForgedWebhook,
    GatewayError,
    GatewayEvent,
    GatewayFailure,
    GatewayRefund,
    GatewayRefundStatus,
    GatewayUnavailable,
    OutcomeUnknown,
    RefundCall,
)
from support.jobs.attempts import Crash


class FakePaymentGateway:
    """Behaves like Stripe: one refund for each idempotency key, and any number for each reference.

    Its faults are those of the sandbox and four others: `fail_for_good` is a 500 that is repeated for its key,
    `arrive_late` a call that times out and arrives with `deliver_late_calls`; `crash_before_apply` and
    `crash_after_apply` raise `Crash` as the end of the calling process. The function `meanwhile` is called during the
    next call. Unless `knows_derived_references` is true, it declines a payment with the reference derived from its
    order, as every real provider does.
    """

    name = "fake"
    key_lifetime = timedelta(hours=24)
    lookup_lag = timedelta(0)

    def __init__(self, *, knows_derived_references: bool = True) -> None:
        self._knows_derived_references = knows_derived_references
        self._refunds: dict[str, GatewayRefund] = {}
        self._faults: list[str] = []
        self._on_their_way: list[RefundCall] = []
        self._answers: dict[str, GatewayRefund | GatewayFailure] = {}
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def fail(self, mode: str, times: int = 1) -> None:
        self._faults += [mode] * times

    async def mend(self) -> None:
        self._faults.clear()

    async def refunds(self, payment: str) -> list[GatewayRefund]:
        return await self.refunds_of(payment)

    async def refund(self, call: RefundCall) -> GatewayRefund:
        fault = self._faults.pop(0) if self._faults else None
        if self.meanwhile is not None:
            callback, self.meanwhile = self.meanwhile, None
            await callback()
        match fault:
            case "crash_before_apply":
                raise Crash
            case "fail":
                raise GatewayError("500: an unknown error occurred")
            case "rate_limit":
                raise GatewayUnavailable("429: too many requests")
            case "timeout_before_apply":
                raise OutcomeUnknown("no answer")
            case "arrive_late":
                self._on_their_way.append(call)
                raise OutcomeUnknown("no answer")
        answer = self._answer(call, fault)
        if fault == "crash_after_apply":
            raise Crash
        if fault == "timeout_after_apply":
            raise OutcomeUnknown("no answer")
        if isinstance(answer, GatewayFailure):
            raise answer
        return answer

    async def find(self, call: RefundCall) -> GatewayRefund | None:
        """Search in the refunds of the payment, as with Stripe."""
        refunds = await self.refunds_of(call.payment_reference)
        return next((each for each in refunds if each.reference == call.reference), None)

    async def refunds_of(self, payment_reference: str) -> list[GatewayRefund]:
        return [each for each in self._refunds.values() if each.payment_reference == payment_reference]

    async def events_since(self, cursor: str | None) -> tuple[list[GatewayEvent], str | None]:
        return [], cursor

    async def refunds_since(self, since: datetime) -> AsyncIterator[GatewayRefund]:
        for each in self._refunds.values():
            if each.created_at >= since:
                yield each

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now: datetime) -> GatewayEvent | None:
        raise ForgedWebhook("this provider sends no webhooks")

    def make_by_hand(self, refund: GatewayRefund) -> None:
        """In the provider's dashboard; a refund with a known id is changed."""
        self._refunds = {key: each for key, each in self._refunds.items() if each.id != refund.id}
        self._refunds[refund.id] = refund

    def forget_keys(self) -> None:
        """Delete the keys, as Stripe does after a day or more; calls that are still under way are lost."""
        self._answers.clear()
        self._on_their_way.clear()

    def deliver_late_calls(self) -> None:
        for call in self._on_their_way:
            self._answer(call, None)
        self._on_their_way.clear()

    def _answer(self, call: RefundCall, fault: str | None) -> GatewayRefund | GatewayFailure:
        """The first response for a key is repeated for ever."""
        key = call.idempotency_key
        if not self._knows_derived_references and call.payment_reference.startswith("order-"):
            fault = "decline"
        if key not in self._answers:
            match fault:
                case "decline":
                    self._answers[key] = Declined("402: declined by the issuer")
                case "fail_for_good":
                    self._answers[key] = GatewayError("500: an unknown error occurred")
                case _:
                    self._answers[key] = self._new_refund(call)
        return self._answers[key]

    def _new_refund(self, call: RefundCall) -> GatewayRefund:
        refund = GatewayRefund(
            id=f"re_{uuid4().hex}",
            status=GatewayRefundStatus.SUCCEEDED,
            reference=call.reference,
            payment_reference=call.payment_reference,
            amount=call.amount,
            currency=call.currency,
            reason=None,
            created_at=datetime.now(UTC),
        )
        self._refunds[refund.id] = refund
        return refund
