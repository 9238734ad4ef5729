"""Payment gateways for tests: the sandbox as a process of its own, and one in memory that keeps a ledger too."""

import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from refunds.domain import Refund
from refunds.use_cases.payment import Declined, GatewayError, GatewayFailure, GatewayUnavailable, OutcomeUnknown


class PaymentSandbox:
    """`deploy/sandbox` over HTTP: its faults, and what its ledger says."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def fail(self, mode: str, times: int | None = 1, payment: str | None = None) -> None:
        """`payment` is a payment reference or a refund's; without one the fault strikes everybody."""
        await self._call("POST", "/sandbox/faults", json={"mode": mode, "times": times, "payment": payment})

    async def mend(self) -> None:
        await self._call("DELETE", "/sandbox/faults")

    async def declare_capture(self, payment: str, amount: int, currency: str) -> None:
        """`amount` in minor units; more than that is never refunded."""
        await self._call("POST", "/sandbox/captures", json={"payment": payment, "amount": amount, "currency": currency})

    async def refunds(self, payment: str) -> list[dict[str, Any]]:
        return list((await self._ledger(payment))["refunds"])

    async def calls(self, payment: str) -> list[str]:
        """How each call about a payment ended, oldest first."""
        return [call["outcome"] for call in (await self._ledger(payment))["calls"]]

    async def keys(self, payment: str) -> list[str]:
        """The idempotency keys of the calls that asked for a refund, oldest first."""
        calls = (await self._ledger(payment))["calls"]
        return [call["idempotency_key"] for call in calls if call["method"] == "POST"]

    async def _ledger(self, payment: str) -> dict[str, Any]:
        ledger: dict[str, Any] = (await self._call("GET", "/sandbox/ledger", params={"payment": payment})).json()
        return ledger

    async def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url) as client:
            answer = await client.request(method, path, **options)
        assert answer.is_success, answer.text
        return answer


@contextmanager
def running_payment_sandbox(data: Path) -> Iterator[PaymentSandbox]:
    command = [sys.executable, "-m", "sandbox", "payments", "--port=0", f"--data={data}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        address = re.search(r"http=(\S+)", ready)
        assert address, f"the payment sandbox did not start: {ready}"
        yield PaymentSandbox(f"http://{address[1]}")
    finally:
        process.terminate()
        process.communicate(timeout=10)


class Crash(BaseException):
    """The end of the process, as far as one test can have it."""


class FakePaymentGateway:
    """Behaves as Stripe does, in memory: one refund per idempotency key, and any number of them per reference.

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
        return [refund for refund in self._refunds.values() if refund.claim.payment_reference == payment]

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
        wanted = (refund.reference, refund.claim.payment_reference)
        made = ((number, (each.reference, each.claim.payment_reference)) for number, each in self._refunds.items())
        return next((number for number, names in made if names == wanted), None)

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
        if not self._knows_derived_references and refund.claim.payment_reference.startswith("order-"):
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
