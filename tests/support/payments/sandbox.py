"""The payment provider of the sandbox in a separate process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.processes.sandbox import SandboxClient, running_sandbox


class PaymentSandbox(SandboxClient):
    """The payment provider of the sandbox over HTTP: its faults and its ledger."""

    async def fail(self, mode: str, times: int | None = 1, payment: str | None = None, **options: object) -> None:
        """`payment` is the reference of a payment or of a refund; without one, the fault affects all of them."""
        fault = {"mode": mode, "times": times, "payment": payment, **options}
        await self._call("POST", "/sandbox/faults", json=fault)

    async def declare_capture(self, payment: str, amount: int, currency: str) -> None:
        """`amount` in minor units; more than that is never refunded."""
        await self._call("POST", "/sandbox/captures", json={"payment": payment, "amount": amount, "currency": currency})

    async def set_status(self, refund_id: str, status: str, reason: str | None = None) -> None:
        """Change the status of a refund: a pending one ends, or a success is taken back."""
        await self._call("POST", f"/sandbox/refunds/{refund_id}/status", json={"status": status, "reason": reason})

    async def refund_by_hand(self, payment: str, amount: int | None = None) -> dict[str, Any]:
        """As in the provider's dashboard; the rest of the capture without an amount."""
        document = {"payment": payment, "amount": amount}
        refund: dict[str, Any] = (await self._call("POST", "/sandbox/dashboard/refunds", json=document)).json()
        return refund

    async def dispute(self, payment: str, status: str, amount: int | None = None) -> None:
        """`opened`, `won` or `lost`"""
        document = {"payment": payment, "status": status, "amount": amount}
        await self._call("POST", "/sandbox/disputes", json=document)

    async def expire_keys(self, payment: str) -> None:
        """The provider forgets the idempotency keys of the calls about a payment."""
        await self._call("POST", "/sandbox/keys/expire", json={"payment": payment})

    async def send_webhooks(self, url: str, secret: str, delay_seconds: float = 0.05) -> None:
        await self._call(
            "POST", "/sandbox/webhooks", json={"url": url, "secret": secret, "delay_seconds": delay_seconds}
        )

    async def send_no_webhooks(self) -> None:
        await self._call("DELETE", "/sandbox/webhooks")

    async def release_webhooks(self, payment: str | None = None) -> None:
        """Deliver those that the fault `webhook_held` holds."""
        await self._call("POST", "/sandbox/webhooks/release", json={"payment": payment})

    async def deliveries(self, payment: str) -> list[dict[str, Any]]:
        """Webhooks of a payment: `type`, `state`, `attempts` and `status` of the last answer."""
        response = await self._call("GET", "/sandbox/webhooks", params={"payment": payment})
        return list(response.json()["deliveries"])

    async def refunds(self, payment: str) -> list[dict[str, Any]]:
        return list((await self._ledger(payment))["refunds"])

    async def calls(self, payment: str) -> list[str]:
        """The outcome of each call about a payment, oldest first."""
        return [call["outcome"] for call in (await self._ledger(payment))["calls"]]

    async def all_calls(self, payment: str) -> list[dict[str, Any]]:
        """With their `method`, `outcome` and `status`, oldest first."""
        return list((await self._ledger(payment))["calls"])

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
