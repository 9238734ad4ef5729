"""A payment gateway in memory, with a ledger and faults, for tests that need no provider."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from refunds.domain.refund import Refund
from refunds.payment_gateway.port import Declined, GatewayError, GatewayFailure, GatewayUnavailable, OutcomeUnknown
from support.jobs.attempts import Crash


class FakePaymentGateway:
    """Behaves like Stripe: one refund for each idempotency key, and any number for each reference.

    Its faults are those of the sandbox and four others: `fail_for_good` is a 500 that is repeated for its key,
    `arrive_late` a call that times out and arrives with `deliver_late_calls`; `crash_before_apply` and
    `crash_after_apply` raise `Crash` as the end of the calling process. The function `meanwhile` is called during the
    next call. Unless `knows_derived_references` is true, it declines a payment with the reference derived from its
    order, as every real provider does.
    """

    def __init__(self, *, knows_derived_references: bool = True) -> None:
        self._knows_derived_references = knows_derived_references
        self._refunds: dict[str, Refund] = {}
        self._faults: list[str] = []
        self._on_their_way: list[Refund] = []
        self._answers: dict[str, str | GatewayFailure] = {}
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def fail(self, mode: str, times: int = 1) -> None:
        self._faults += [mode] * times

    async def mend(self) -> None:
        self._faults.clear()

    async def refunds(self, payment: str) -> list[Refund]:
        return [refund for refund in self._refunds.values() if refund.request.payment_reference == payment]

    async def refund(self, refund: Refund) -> str:
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
                self._on_their_way.append(refund)
                raise OutcomeUnknown("no answer")
        answer = self._answer(refund, fault)
        if fault == "crash_after_apply":
            raise Crash
        if fault == "timeout_after_apply":
            raise OutcomeUnknown("no answer")
        if isinstance(answer, GatewayFailure):
            raise answer
        return answer

    async def find(self, refund: Refund) -> str | None:
        """Search in the refunds of the payment, as with Stripe."""
        identity = (refund.reference, refund.request.payment_reference)
        candidates = (
            (number, (each.reference, each.request.payment_reference)) for number, each in self._refunds.items()
        )
        return next((number for number, names in candidates if names == identity), None)

    def forget_keys(self) -> None:
        """Delete the keys, as Stripe does after a day or more; calls that are still under way are lost."""
        self._answers.clear()
        self._on_their_way.clear()

    def deliver_late_calls(self) -> None:
        for refund in self._on_their_way:
            self._answer(refund, None)
        self._on_their_way.clear()

    def _answer(self, refund: Refund, fault: str | None) -> str | GatewayFailure:
        """The first response for a key is repeated for ever."""
        key = refund.idempotency_key
        if not self._knows_derived_references and refund.request.payment_reference.startswith("order-"):
            fault = "decline"
        if key not in self._answers:
            match fault:
                case "decline":
                    self._answers[key] = Declined("402: declined by the issuer")
                case "fail_for_good":
                    self._answers[key] = GatewayError("500: an unknown error occurred")
                case _:
                    self._answers[key] = number = f"re_{uuid4().hex}"
                    self._refunds[number] = refund
        return self._answers[key]
