"""The clients of a closed loop: each takes one order after the other through its whole life."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from benchmarks.measuring import LoadFailedError
from demo import journeys
from local_stack.stack_json import StackDescription
from sandbox.mailbox.store import arrival_time

RETURN_STEPS = ("return", "approve", "hand in", "receive", "complete")
STEPS = ("place", "pay", "pack", "ship", "deliver")
MAILED, REFUNDED = "shipped to e-mailed", "completed to refunded"
_SHIPMENT = {"new_state": "SHIPPED", "tracking_number": "1Z999AA10123456784", "carrier": "UPS"}
_EMAIL = "life-{}@customers.example"
_PAYMENT = "pi_life_{}"


class LifeClients:
    """`seconds`: how long each request took, by the name of its step, and the two waits, since the last `forget`.

    A bare HTTP client: one that is comfortable takes a quarter of the machine that is measured.
    """

    def __init__(self, stack: StackDescription, folder: Path) -> None:
        self._stack = stack
        self._mailbox = folder / "sandbox" / "mailbox" / "messages"
        self._order = journeys.example("returned-order")
        self._last_number = 0
        self.forget()

    def forget(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._shipped: dict[str, float] = {}
        self._completed: dict[str, float] = {}

    async def run(self, lives: int, *, clients: int, with_return: bool) -> None:
        """Raises `LoadFailedError` at a request without a successful response."""
        numbers = iter(range(self._last_number + 1, self._last_number + lives + 1))
        self._last_number += lives
        connector = aiohttp.TCPConnector(limit=clients)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._one_after_the_other(session, numbers, with_return=with_return))

    async def note_waits(self) -> None:
        """Add the waits for the e-mail with the invoice and for the refund; all must have come."""
        arrivals = await asyncio.to_thread(self._arrivals)
        self.seconds[MAILED] = [arrivals[email] - at for email, at in self._shipped.items()]
        if self._completed:
            refunds = await self._refunds()
            self.seconds[REFUNDED] = [refunds[payment] - at for payment, at in self._completed.items()]

    def mail_count(self) -> int:
        return sum(each.endswith(".eml") for each in os.listdir(self._mailbox))

    async def _one_after_the_other(
        self, session: aiohttp.ClientSession, numbers: Iterator[int], *, with_return: bool
    ) -> None:
        for number in numbers:
            order_id = await self._buy(session, number)
            if with_return:
                await self._send_back(session, number, order_id)

    async def _buy(self, session: aiohttp.ClientSession, number: int) -> str:
        email = _EMAIL.format(number)
        placed = await self._request(session, "place", "client", "orders", "", {**self._order, "customer_email": email})
        order_id: str = placed["id"]
        state = f"/{order_id}/state"
        paid = {"new_state": "PAID", "payment_transaction_id": _PAYMENT.format(number)}
        await self._request(session, "pay", "payments", "orders", state, paid)
        await self._request(session, "pack", "warehouse", "orders", state, {"new_state": "PROCESSING_IN_WAREHOUSE"})
        self._shipped[email] = time.time()
        await self._request(session, "ship", "warehouse", "orders", state, _SHIPMENT)
        await self._request(session, "deliver", "warehouse", "orders", state, {"new_state": "DELIVERED"})
        return order_id

    async def _send_back(self, session: aiohttp.ClientSession, number: int, order_id: str) -> None:
        body = {"order_id": order_id, "reason": "cracked"}
        path = f"/{(await self._request(session, 'return', 'client', 'returns', '', body))['id']}"
        await self._request(session, "approve", "manager", "returns", f"{path}/approve", {"manager_notes": "seen"})
        state = f"{path}/state"
        await self._request(session, "hand in", "client", "returns", state, {"new_state": "IN_TRANSIT"})
        await self._request(session, "receive", "warehouse", "returns", state, {"new_state": "RECEIVED"})
        self._completed[_PAYMENT.format(number)] = time.time()
        await self._request(session, "complete", "warehouse", "returns", state, {"new_state": "COMPLETED"})

    async def _request(
        self, session: aiohttp.ClientSession, step: str, role: str, service: str, path: str, body: dict[str, Any]
    ) -> Any:
        headers = {"X-API-Key": self._stack["api_keys"][role], "Idempotency-Key": str(uuid4())}
        url = f"{self._stack['services'][service]['url']}/api/v1/{service}{path}"
        start = time.perf_counter()
        method = "PATCH" if path else "POST"
        async with session.request(method, url, json=body, headers=headers) as response:
            answer = await response.json()
        self.seconds[step].append(time.perf_counter() - start)
        if response.status >= 300:
            raise LoadFailedError(f"{step}: {response.status} {answer}")
        return answer

    def _arrivals(self) -> dict[str, float]:
        """The time of the first message to each recipient, which is that with the invoice."""
        times: dict[str, float] = {}
        for path in sorted(self._mailbox.glob("[0-9a-f]*.eml")):
            with path.open("rb") as message:
                envelope = message.read(400).decode(errors="replace")
            recipient = envelope.partition("Delivered-To: ")[2].partition("\r\n")[0]
            times.setdefault(recipient, arrival_time(path.stem).timestamp())
        return times

    async def _refunds(self) -> dict[str, float]:
        """The time at which the payment gateway stored each refund, by payment."""
        url = f"{self._stack['payment_sandbox']['url']}/sandbox/ledger"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            refunds = (await response.json())["refunds"]
        return {each["payment_intent"]: datetime.fromisoformat(each["recorded_at"]).timestamp() for each in refunds}
