"""`/livez`, `/readyz` and `/metrics` as plain ASGI: the same in every role, with or without a web framework."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.edge.problem_details import problem_body
from common.errors import Code, Problem
from common.health import Health

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Page:
    status: int
    body: bytes
    media_type: str = "application/json"


def json_page(status: int, document: object) -> Page:
    return Page(status, _encode(document))


def _refusal(problem: Problem, scope: Any) -> Page:
    return json_page(problem.code.status, problem_body(problem, scope["path"]))


class HealthPages:
    """An ASGI application of its own where a role has no other, and where to look pages up for a gateway.

    `otherwise` is the answer to all other paths.
    """

    def __init__(self, health: Health, otherwise: Problem | None = None) -> None:
        self._health = health
        self._otherwise = otherwise or Problem(Code.NOT_FOUND, "There is nothing here.")
        self.pages: dict[str, Callable[[], Awaitable[Page]]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        page = self.pages.get(scope["path"])
        if page is None:
            answer = _refusal(self._otherwise, scope)
        elif scope["method"] not in ("GET", "HEAD"):
            answer = _refusal(Problem(Code.METHOD_NOT_ALLOWED, "Only GET and HEAD are possible here."), scope)
        else:
            answer = await page()
        headers = [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _livez(self) -> Page:
        return json_page(200, {"status": "alive"})

    async def _readyz(self) -> Page:
        errors = await self._health.why_not_ready()
        if errors:
            return json_page(503, {"status": "not ready", "errors": errors})
        return json_page(200, {"status": "ready"})

    async def _metrics(self) -> Page:
        return Page(200, generate_latest(), CONTENT_TYPE_LATEST)
