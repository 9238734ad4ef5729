"""The pages that join what both gateways answer: `GET /api/v1/metrics` and `GET /api/v1/health`."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from common.edge.observation.response_times import Histogram
from common.edge.pages.page_application import Page, json_page
from common.errors import Code, Problem

from origin.forwarding import client_headers
from origin.upstream import Answer, Upstream

# A service answers within 0.8 s, and the contract asks for an answer within a second.
HEALTH_SECONDS = 0.95
METRICS_SECONDS = 10.0
INCLUDE = b"include=response_times"

_PASSED_TO_SERVICES = frozenset({b"host", b"x-api-key", b"authorization", b"accept", b"traceparent", b"tracestate"})
_PASSED_TO_CLIENTS = ("retry-after", "www-authenticate", "ratelimit", "ratelimit-policy")


class JoinedPages:
    """`GET /api/v1/metrics` also takes `INCLUDE`.

    The gateways answer about what they store under their own names: `orders` and `returns`."""

    def __init__(self, upstreams: Iterable[Upstream]) -> None:
        self._upstreams = tuple(upstreams)

    async def metrics(self, scope: Any) -> Page:
        """The first refusal (401, 403, 429 …) is the answer. Without an answer of one gateway it is 503: a client must
        not take a part for the whole."""
        answers = await self._ask(b"/api/v1/metrics?" + INCLUDE, scope, METRICS_SECONDS)
        missing = [name for name, answer in answers.items() if answer is None or answer.status >= 500]
        if missing:
            message = f"No metrics from {' and '.join(missing)}."
            raise Problem(Code.UNAVAILABLE, message, {"unavailable": missing}, retry_after=1)
        complete = {name: answer for name, answer in answers.items() if answer is not None}
        for answer in complete.values():
            if answer.status != 200:
                return _passed(answer)
        total = Histogram()
        document: dict[str, object] = {}
        for name, answer in complete.items():
            part = msgspec.json.decode(answer.body)
            document[name] = part[name]
            total.merge_document(part["response_times"])
        document["performance"] = total.performance()
        return json_page(200, {**document, "response_times": total.document()} if scope["query_string"] else document)

    async def health(self, scope: Any) -> Page:
        """Healthy if both are; an error begins with the name of its gateway."""
        answers = await self._ask(b"/api/v1/health", scope, HEALTH_SECONDS)
        services: dict[str, str] = {}
        dependencies: dict[str, str] = {}
        errors = []
        for name, answer in answers.items():
            part = msgspec.json.decode(answer.body) if answer is not None and answer.status in (200, 503) else {}
            services[name] = "connected" if "services" in part else "disconnected"
            for dependency, state in part.get("services", {}).items():
                dependencies[dependency] = state if dependencies.get(dependency, state) == state else "disconnected"
            unreachable = [] if "services" in part else ["no answer"]
            errors += [f"{name}: {error}" for error in (*unreachable, *part.get("errors", ()))]
        services |= dict.fromkeys(("database", "kafka"), "disconnected") | dependencies
        document: dict[str, object] = {"timestamp": datetime.now(UTC), "services": services}
        if errors:
            return json_page(503, {"status": "unhealthy", **document, "errors": errors})
        return json_page(200, {"status": "healthy", **document})

    async def _ask(self, target: bytes, scope: Any, seconds: float) -> Mapping[str, Answer | None]:
        headers = [(name, value) for name, value in scope["headers"] if name in _PASSED_TO_SERVICES]
        headers += client_headers(scope)
        answers = await asyncio.gather(*(_get(upstream, target, headers, seconds) for upstream in self._upstreams))
        return {upstream.name: answer for upstream, answer in zip(self._upstreams, answers, strict=True)}


async def _get(upstream: Upstream, target: bytes, headers: Any, seconds: float) -> Answer | None:
    try:
        async with asyncio.timeout(seconds):
            return await upstream.get(target, headers)
    except (Problem, TimeoutError):
        return None


def _passed(answer: Answer) -> Page:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
    passed = {name: headers[name] for name in _PASSED_TO_CLIENTS if name in headers}
    return Page(answer.status, answer.body, headers.get("content-type", "application/json"), passed)
