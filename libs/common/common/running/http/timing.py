"""Time limits for a client. The protocol stores a deadline that `Connections` checks: no request has its own timer."""

import asyncio
from typing import Any

from common.errors import Problem
from common.running.http.connections import NEVER, ended
from common.running.http.ending import EndingProtocol, Phase
from common.running.http.head import bad_request
from common.running.http.limits import MIN_ANSWER_BYTES_PER_SECOND


class TimedProtocol(EndingProtocol):
    """Implements the `Connection` of `Connections`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stall_mark, self._stall_until = 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wait(self._limits.head_seconds)
        if not self._connections.add(self):
            self._refuse(_no_room(), "no room")

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Idle connections and incomplete heads end immediately; incomplete bodies and unread answers have a second."""
        soon = self._connections.now + self._limits.stopping_seconds
        self._stall_until = min(self._stall_until, soon)
        cycle = self.unanswered()
        if cycle is None:
            self._end()
            self._deadline = soon
            return
        cycle.keep_alive = False
        if self._phase is Phase.BODY:
            self._deadline = min(self._deadline, soon)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._begin_stall()
        self._connections.stall(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._connections.flow(self)
        if self._is_ending:
            self._wait(self._limits.stall_seconds)
        elif self._phase is Phase.REQUEST and self._deadline < NEVER:
            self._wait(self._limits.keep_alive_seconds)

    def _begin_stall(self) -> None:
        self._stall_mark = self.unsent_bytes
        self._stall_until = self._connections.now + self._stall_seconds

    @property
    def _stall_seconds(self) -> float:
        return self._limits.stopping_seconds if self._connections.is_stopping else self._limits.stall_seconds

    @property
    def waiting_since(self) -> float:
        cycle = self.unanswered()
        is_answering = cycle is not None and not cycle.more_body
        return NEVER if is_answering or self.pipeline else self._since

    @property
    def unsent_bytes(self) -> int:
        return self._raw.get_write_buffer_size()

    def check(self, now: float) -> bool:
        if self.flow.write_paused:
            is_due = now >= self._stall_until
            if is_due:
                self._check_progress()
        else:
            is_due = now >= self._deadline
            if is_due:
                self._expire()
        return is_due

    def make_room(self) -> None:
        if self._phase in (Phase.HEAD, Phase.BODY):
            self._refuse(_no_room(), "no room")
        else:
            ended.labels("no room").inc()
        self._raw.close()
        if self.unsent_bytes:
            self._raw.abort()

    def abort_unread(self, reason: str) -> None:
        ended.labels(reason).inc()
        self._raw.abort()

    def _check_progress(self) -> None:
        if self._stall_mark - self.unsent_bytes < self._stall_seconds * MIN_ANSWER_BYTES_PER_SECOND:
            self.abort_unread("unread answer")
        else:
            self._begin_stall()

    def _expire(self) -> None:
        limits = self._limits
        if self._phase is Phase.NOTHING:
            self._raw.abort()
        elif self.flow.read_paused:
            self._wait(limits.body_seconds)  # the server does not read
        elif self._phase is Phase.REQUEST:
            self._end()
        elif self._phase is Phase.HEAD:
            self._refuse(_too_slow("head", limits.head_seconds), "head timeout")
        else:
            self._refuse(_too_slow("body", limits.body_seconds), "body timeout")


def _too_slow(part: str, seconds: float) -> Problem:
    return bad_request(f"The request's {part} did not arrive within {seconds:g} seconds.", limit_seconds=seconds)


def _no_room() -> Problem:
    return Problem.unavailable("The service has too many connections.")
