"""A payment gateway in memory, with a ledger and faults, for tests that need no provider."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from refunds.domain import Refund
from refunds.payment_gateway.port import Declined, GatewayError, GatewayFailure, GatewayUnavailable, OutcomeUnknown
from support.jobs.attempts import Crash


class FakePaymentGateway:
    """Behaves as Stripe does: one refund for each idempotency key, and any number for each reference.

    Its faults have the sandbox's names, and some more: `fail_for_good` is a 500 that is kept for its key, `arrive_late`
    a call that times out and is on its way until `deliver_late_calls`; `crash_before_apply` and `crash_after_apply`
    raise `Crash` in place of the caller's end. What is put into `meanwhile` happens while the next call is on its way.
    Unless it `knows_derived_references`, it declines a payment that is named after its order, as every real provider.
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
            happening, self.meanwhile = self.meanwhile, None
            await happening()
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
        """As Stripe, which lists the refunds of one payment."""
        identity = (refund.reference, refund.request.payment_reference)
        made = ((number, (each.reference, each.request.payment_reference)) for number, each in self._refunds.items())
        return next((number for number, names in made if names == identity), None)

    def forget_keys(self) -> None:
        """As Stripe does after a day or more; a call that was on its way for that long is lost."""
        self._answers.clear()
        self._on_their_way.clear()

    def deliver_late_calls(self) -> None:
        for refund in self._on_their_way:
            self._answer(refund, None)
        self._on_their_way.clear()

    def _answer(self, refund: Refund, fault: str | None) -> str | GatewayFailure:
        """The first answer to a key is the answer to it for ever."""
        key = refund.idempotency_key
        if not self._knows_derived_references and refund.request.payment_reference.startswith("order-"):
            fault = "decline"
        if key not in self._answers:
            match fault:
                case "decline":
                    self._answers[key] = Declined("402: the issuer says no")
                case "fail_for_good":
                    self._answers[key] = GatewayError("500: an unknown error occurred")
                case _:
                    self._answers[key] = number = f"re_{uuid4().hex}"
                    self._refunds[number] = refund
        return self._answers[key]
