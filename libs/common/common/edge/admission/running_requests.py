"""Running requests: a time limit for each, and the connections that one caller may use at once (ADR 32)."""

import asyncio
from collections.abc import Hashable

from prometheus_client import Counter
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from common.component import Component, pause
from common.database.fair_shares import FairShares
from common.database.users import current_user
from common.edge.problems.problem_responses import problem_response
from common.errors import Problem
from common.settings import ServiceSettings

# How long a request beyond its limit may wait for the end of its commit, so that the client is told the result.
COMMIT_SECONDS = 5.0
_LONGEST_INTERVAL = 0.25
_WAITING_SECONDS = 5
_NEVER = float("inf")

_expired = Counter("expired_requests_total", "Requests that were answered with 503 at their time limit")


class RunningRequest:
    """One request. `owner` is who uses its connections: the client's address, then the caller."""

    __slots__ = (
        *("_requests", "commit_begun", "connections", "deadline", "has_expired", "owner", "receive", "scope", "send"),
        "task",
    )

    def __init__(self, requests: "RunningRequests", scope: Scope, receive: Receive, send: Send) -> None:
        self._requests = requests
        self.connections = requests.connections
        self.scope, self.receive, self.send = scope, receive, send
        client = scope.get("client")
        self.owner: Hashable = client[0] if client else None
        self.task = asyncio.current_task()
        self.deadline = requests.now + requests.seconds
        self.commit_begun = self.has_expired = False

    def begin_commit(self) -> None:
        if self.has_expired:
            raise asyncio.CancelledError
        self.commit_begun = True

    def begin_body(self) -> None:
        """The client sends the body, for which the server has a limit of its own."""
        self.deadline = _NEVER

    def end_body(self) -> None:
        self.deadline = self._requests.now + self._requests.seconds

    def unavailable(self, message: str) -> Problem:
        """A 503 that says whether the request may have had an effect."""
        return unavailable(message, is_unknown=self.commit_begun)


def unavailable(message: str, *, is_unknown: bool) -> Problem:
    """A 503 for a change that had no effect, or (`is_unknown`) that may have had one."""
    if not is_unknown:
        return Problem.unavailable(f"{message}; nothing was changed. Please try again.", outcome="none")
    return Problem.unavailable(
        f"{message}; it is unknown whether the request had its effect. Repeat it with the same Idempotency-Key.",
        outcome="unknown",
    )


class RunningRequests:
    """One per application. `now` is a time in seconds that one task updates, so that no request has its own timer."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.seconds = settings.http_request_seconds
        self.now = 0.0
        self.connections = FairShares(
            "connections",
            settings.database_pool_size,
            share=settings.caller_connection_share,
            waiting_limit=settings.caller_waiting_limit,
            seconds=_WAITING_SECONDS,
        )
        self._running: dict[RunningRequest, None] = {}  # in the order of their beginning
        self._answering: set[asyncio.Task[None]] = set()

    def begin(self, scope: Scope, receive: Receive, send: Send) -> RunningRequest:
        request = scope["running"] = RunningRequest(self, scope, receive, send)
        current_user.set(request)
        self._running[request] = None
        return request

    def end(self, request: RunningRequest) -> None:
        """At the beginning of the response: its reader has limits of his own."""
        self._running.pop(request, None)

    @property
    def component(self) -> Component:
        return Component("time limits", self._watch)

    async def _watch(self, stopping: asyncio.Event) -> None:
        loop, interval = asyncio.get_running_loop(), min(_LONGEST_INTERVAL, self.seconds / 4)
        last = loop.time()
        while not stopping.is_set():
            await pause(stopping, interval)
            last, elapsed = loop.time(), loop.time() - last
            # While the event loop was blocked no request could continue.
            self.now += min(elapsed, 2 * interval)
            for request in [each for each in self._running if each.deadline <= self.now]:
                self._expire(request)

    def _expire(self, request: RunningRequest) -> None:
        if request.commit_begun and request.deadline + COMMIT_SECONDS > self.now:
            return
        self.end(request)
        request.has_expired = True
        _expired.inc()
        answer_task = asyncio.create_task(self._answer(request))
        self._answering.add(answer_task)
        answer_task.add_done_callback(self._answering.discard)
        # What it does is not waited for: after the cancellation, it can only be rolled back.
        if request.task is not None:
            request.task.cancel()

    async def _answer(self, request: RunningRequest) -> None:
        problem = request.unavailable(f"The request took longer than {self.seconds:g} seconds")
        response = problem_response(Request(request.scope, request.receive), problem)
        await response(request.scope, request.receive, request.send)
