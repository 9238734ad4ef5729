"""Clients that take one order after the other through its life, and repeat a request until it is answered."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from demo import journeys
from demo.client import Unexpected
from local_stack.stack_json import StackDescription

# Of a hundred orders, by their numbers: so many are returned, and so many cancelled after the payment.
RETURNED, CANCELLED = 5, 2
# Longer than the restart of any process.
PATIENCE_SECONDS = 120
_PAUSE_SECONDS = 0.1
_SHIPMENT = {"new_state": "SHIPPED", "tracking_number": "1Z999AA10123456784", "carrier": "UPS"}
_RETURN_STATES = (("client", "IN_TRANSIT"), ("warehouse", "RECEIVED"), ("warehouse", "COMPLETED"))


def is_returned(number: int) -> bool:
    return number % 100 < RETURNED


def is_cancelled(number: int) -> bool:
    return RETURNED <= number % 100 < RETURNED + CANCELLED


class NightClients:
    """`done` counts the lives that have ended."""

    def __init__(self, stack: StackDescription, numbers: Iterator[int]) -> None:
        self._stack = stack
        self._numbers = numbers
        self._order = journeys.example("returned-order")
        self.done = 0

    async def run(self, clients: int, until: float) -> None:
        """Until this time of `time.monotonic`; lives that have begun are ended. Raises `Unexpected`."""
        async with self._session(clients) as session, asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._one_after_the_other(session, until))

    @asynccontextmanager
    async def _session(self, clients: int) -> AsyncIterator[aiohttp.ClientSession]:
        connector, timeout = aiohttp.TCPConnector(limit=clients), aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            yield session

    async def _one_after_the_other(self, session: aiohttp.ClientSession, until: float) -> None:
        while time.monotonic() < until:
            await _Life(session, self._stack, next(self._numbers)).live(self._order)
            self.done += 1


class _Life:
    def __init__(self, session: aiohttp.ClientSession, stack: StackDescription, number: int) -> None:
        self._session = session
        self._stack = stack
        self._number = number

    async def live(self, order: Mapping[str, Any]) -> None:
        email = f"night-{self._number}@customers.example"
        placed = await self._request("client", "POST", "/orders", {**order, "customer_email": email})
        address = f"/orders/{placed['id']}"
        paid = {"new_state": "PAID", "payment_transaction_id": f"pi_night_{self._number}"}
        await self._request("payments", "PATCH", f"{address}/state", paid)
        if is_cancelled(self._number):
            await self._request("client", "POST", f"{address}/cancel", {"reason": "changed her mind"})
            return
        for body in ({"new_state": "PROCESSING_IN_WAREHOUSE"}, _SHIPMENT, {"new_state": "DELIVERED"}):
            await self._request("warehouse", "PATCH", f"{address}/state", body)
        if is_returned(self._number):
            await self._send_back(placed["id"])

    async def _send_back(self, order_id: str) -> None:
        # Refused while the relay of orders restarts: returns does not know the order or its delivery yet (ADR 9).
        opening = {"order_id": order_id, "reason": "cracked"}
        opened = await self._request("client", "POST", "/returns", opening, also_repeated=(404, 422))
        address = f"/returns/{opened['id']}"
        await self._request("manager", "PATCH", f"{address}/approve", {"manager_notes": "seen"})
        for role, state in _RETURN_STATES:
            await self._request(role, "PATCH", f"{address}/state", {"new_state": state})

    async def _request(
        self, role: str, method: str, path: str, body: Mapping[str, Any], *, also_repeated: Collection[int] = ()
    ) -> Any:
        """With an idempotency key that follows from the life and its step, so that no repeat is a second request."""
        service = path.split("/")[1]
        key = f"night-{self._number}-{path.rpartition('/')[2]}-{body.get('new_state', '')}"
        headers = {"X-API-Key": self._stack["api_keys"][role], "Idempotency-Key": key}
        url = f"{self._stack['services'][service]['url']}/api/v1{path}"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                async with self._session.request(method, url, json=body, headers=headers) as response:
                    status, answer = response.status, await response.json()
                if status < 300:
                    return answer
            except (aiohttp.ClientError, TimeoutError) as error:
                status, answer = 503, repr(error)
            is_running = status == 409 and answer["error"]["code"] == "CONFLICT"
            if status not in {429, 503, *also_repeated} and not is_running:
                raise Unexpected(f"{method} {path} of order {self._number}: {status} {answer}")
            if time.monotonic() > deadline:
                raise Unexpected(f"{method} {path} of order {self._number} found no answer: {answer}")
            await asyncio.sleep(_PAUSE_SECONDS)
