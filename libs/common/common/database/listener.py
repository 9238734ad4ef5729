"""Waits for the notifications of one channel, on a connection of its own (ADR 48)."""

import asyncio
import time
from collections.abc import Collection
from typing import Any

import asyncpg
import structlog

from common.database.connecting import connect
from common.database.notifier import Channel
from common.telemetry.rate_limited_log import RateLimitedLog

CONNECT_SECONDS = 5.0
# A connection whose other end has vanished is noticed by a query that is not answered.
SECONDS_BETWEEN_CHECKS, CHECK_SECONDS = 10.0, 5.0
SECONDS_BETWEEN_CONNECTIONS = 2.0
# How long it polls after a notification or a find. Longer than `SECONDS_BETWEEN_NOTIFICATIONS`.
POLL_SECONDS = 1.0
# How long a listener waits at the most where nothing else limits the wait: a notification may be lost.
LONGEST_WAIT = 0.5

_log = RateLimitedLog(structlog.get_logger(__name__))


class Listener:
    """`listen` runs beside the loop that looks and waits. The loop polls while `may_wait` is False: without a
    connection, and for a moment after a notification or a find, so that under load there are few notifications."""

    def __init__(self, url: str, channel: Channel, *, application_name: str) -> None:
        self._url = url
        self._channel = channel
        self._application_name = application_name
        self._notified = asyncio.Event()
        self._active_at = 0.0
        self.is_listening = False

    @property
    def may_wait(self) -> bool:
        """Whether the loop may wait for a notification instead of polling: none is left out from now on."""
        return self.is_listening and time.monotonic() - self._active_at >= POLL_SECONDS

    def note_find(self) -> None:
        """Call after each look that found something."""
        self._active_at = time.monotonic()

    async def listen(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._listen_once()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.warning("notifications are not received; polling", channel=self._channel, error=repr(error))
            finally:
                self.is_listening = False
            await asyncio.sleep(SECONDS_BETWEEN_CONNECTIONS)

    async def _listen_once(self) -> None:
        settings = {"application_name": self._application_name, "timezone": "UTC"}
        connection = await connect(self._url, timeout=CONNECT_SECONDS, server_settings=settings)
        try:
            await connection.add_listener(self._channel, self._on_notification)
            self.is_listening = True
            self._on_notification()  # what was committed before is not announced to this connection
            while True:
                await asyncio.sleep(SECONDS_BETWEEN_CHECKS)
                await connection.fetchval("SELECT 1", timeout=CHECK_SECONDS)
        finally:
            connection.terminate()

    def _on_notification(self, *_: Any) -> None:
        self._active_at = time.monotonic()
        self._notified.set()

    def start_round(self) -> None:
        """Call before looking: what is announced from now on ends the next wait."""
        self._notified.clear()

    async def wait(self, others: Collection["asyncio.Task[Any]"], seconds: float) -> None:
        """Wait for a notification, for the end of one of the other tasks, or for `seconds`, whichever is first. A
        notification since `start_round` counts."""
        notification = asyncio.create_task(self._notified.wait())
        try:
            await asyncio.wait({notification, *others}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            notification.cancel()
