"""An API client as a careful customer would write it: every unsafe request can be sent again without harm."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from local_stack.stack_json import StackDescription

Value = TypeVar("Value")


class Unexpected(Exception):
    """The system did not answer as its contract says, or not in time."""


class Shop:
    """The two gateways and what stands around them, as people with different roles use them.

    `patience` is how long, in seconds, a request or a wait may take in all; meanwhile a gateway that is away or says
    503 is asked again, with the same `Idempotency-Key`. `pause` is how many seconds pass before something that is
    waited for is asked for again.
    """

    def __init__(self, stack: StackDescription, patience: float = 30, pause: float = 0.05) -> None:
        self.stack = stack
        self._patience = patience
        self._pause = pause
        self._http = httpx.AsyncClient(timeout=10)

    async def close(self) -> None:
        await self._http.aclose()

    async def as_role(
        self, role: str, method: str, path: str, body: dict[str, Any] | None = None, *, service: str = "orders"
    ) -> httpx.Response:
        """One request, once, however often it has to be sent. Raises `Unexpected` when patience ends."""
        headers = {"X-API-Key": self.stack["api_keys"][role]}
        if method != "GET":
            headers["Idempotency-Key"] = str(uuid4())
        url = f"{self.stack['services'][service]['url']}/api/v1{path}"
        deadline = time.monotonic() + self._patience
        while True:
            reason = ""
            try:
                response = await self._http.request(method, url, json=body, headers=headers)
                if response.status_code not in (429, 503) and not _still_running(response):
                    return response
                reason = f"{response.status_code} {response.text}"
            except httpx.TransportError as error:
                reason = repr(error)
            if time.monotonic() > deadline:
                raise Unexpected(f"{method} {path} found no answer in {self._patience:g} s: {reason}")
            await asyncio.sleep(0.1)

    async def expect(
        self,
        status: int,
        role: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        service: str = "orders",
    ) -> dict[str, Any]:
        """The answer's JSON. Raises `Unexpected` for another status."""
        response = await self.as_role(role, method, path, body, service=service)
        if response.status_code != status:
            raise Unexpected(f"{method} {path}: {response.status_code} in place of {status}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    async def ask(self, url: str) -> httpx.Response:
        """Plain GET of a full URL, once. Raises `httpx.TransportError`."""
        return await self._http.get(url)

    async def fetch(self, url: str) -> httpx.Response:
        """Plain GET of a full URL (the sandbox, the mailbox, a signed link), asked again while nobody answers."""

        async def answered() -> httpx.Response | None:
            try:
                response = await self.ask(url)
            except httpx.TransportError:
                return None
            return response if response.status_code < 500 else None

        return await self.eventually(f"an answer from {url}", answered)

    async def eventually(self, what: str, ask: Callable[[], Awaitable[Value | None]]) -> Value:
        """Ask until there is an answer. Raises `Unexpected` when patience ends."""
        deadline = time.monotonic() + self._patience
        while (answer := await ask()) is None:
            if time.monotonic() > deadline:
                raise Unexpected(f"waited {self._patience:g} s in vain for {what}")
            await asyncio.sleep(self._pause)
        return answer


def _still_running(response: httpx.Response) -> bool:
    """The first request with this key has not ended yet: its connection was lost, not its work."""
    return response.status_code == 409 and response.json()["error"]["code"] == "CONFLICT"
