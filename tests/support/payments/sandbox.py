"""The payment provider of the sandbox in a separate process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.processes.sandbox import SandboxClient, running_sandbox


class PaymentSandbox(SandboxClient):
    """The payment provider of the sandbox over HTTP: its faults and its ledger."""

    async def fail(self, mode: str, times: int | None = 1, payment: str | None = None) -> None:
        """`payment` is the reference of a payment or of a refund; without one, the fault affects all of them."""
        await self._call("POST", "/sandbox/faults", json={"mode": mode, "times": times, "payment": payment})

    async def declare_capture(self, payment: str, amount: int, currency: str) -> None:
        """`amount` in minor units; more than that is never refunded."""
        await self._call("POST", "/sandbox/captures", json={"payment": payment, "amount": amount, "currency": currency})

    async def refunds(self, payment: str) -> list[dict[str, Any]]:
        return list((await self._ledger(payment))["refunds"])

    async def calls(self, payment: str) -> list[str]:
        """The outcome of each call about a payment, oldest first."""
        return [call["outcome"] for call in (await self._ledger(payment))["calls"]]

    async def keys(self, payment: str) -> list[str]:
        """The idempotency keys of the calls that requested a refund, oldest first."""
        calls = (await self._ledger(payment))["calls"]
        return [call["idempotency_key"] for call in calls if call["method"] == "POST"]

    async def _ledger(self, payment: str) -> dict[str, Any]:
        ledger: dict[str, Any] = (await self._call("GET", "/sandbox/ledger", params={"payment": payment})).json()
        return ledger


@contextmanager
def running_payment_sandbox(data: Path) -> Iterator[PaymentSandbox]:
    with running_sandbox("payments", "--port=0", f"--data={data}") as addresses:
        yield PaymentSandbox(f"http://{addresses['http']}")
