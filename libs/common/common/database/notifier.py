"""Announces committed events and jobs by NOTIFY, so that a relay or worker that waits looks at once (ADR 48).

NOTIFY is a statement of its own, after the commit: within the transaction it would make all commits wait for each
other. It may be lost; the listener also looks by itself from time to time.
"""

import asyncio
import contextvars
from collections.abc import Collection
from enum import StrEnum
from typing import Any

import asyncpg
import structlog

from common.database.statements import Connection

# One notification for each of a thousand commits a second would cost a tenth of their time, and a listener that looks
# needs longer than this.
SECONDS_BETWEEN_NOTIFICATIONS = 0.005
SEND_SECONDS = 2.0

_log = structlog.get_logger(__name__)


class Channel(StrEnum):
    EVENTS = "articurated_events"
    JOBS = "articurated_jobs"


class Notifier:
    """Sends the notifications for the transactions of one pool, by a connection of `pool`, which is set when it is
    open."""

    def __init__(self) -> None:
        self.pool: asyncpg.Pool[Any] | None = None
        self._waiting: set[Channel] = set()
        self._task: asyncio.Task[None] | None = None

    def notify(self, channels: Collection[Channel]) -> None:
        """Send soon. Never raises, and does not wait."""
        self._waiting |= set(channels)
        if self._task is None and self.pool is not None:
            # Without the context of the request: its limits and its trace are not those of a notification.
            sending = self._send_waiting(self.pool)
            self._task = asyncio.get_running_loop().create_task(sending, context=contextvars.Context())

    async def _send_waiting(self, pool: "asyncpg.Pool[Any]") -> None:
        query = "SELECT pg_notify(channel, '') FROM unnest($1::text[]) channel"
        try:
            while self._waiting:
                channels, self._waiting = sorted(self._waiting), set()
                try:
                    async with asyncio.timeout(SEND_SECONDS), pool.acquire() as connection:
                        await connection.execute(query, channels)
                except Exception as error:  # whatever it is, the listeners look by themselves
                    _log.debug("a notification was not sent", error=repr(error))
                await asyncio.sleep(SECONDS_BETWEEN_NOTIFICATIONS)
        finally:
            self._task = None


class Announcements:
    """What the open transaction of a connection has announced."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._channels: set[Channel] = set()

    def add(self, channel: Channel) -> None:
        self._channels.add(channel)

    def forget(self) -> None:
        self._channels.clear()

    def send(self) -> None:
        if self._channels:
            self._notifier.notify(self._channels)
            self._channels.clear()


def announce(connection: Connection, channel: Channel) -> None:
    """When this transaction is committed, notify the listeners of the channel."""
    if announcements := announcements_of(connection):
        announcements.add(channel)


def announcements_of(connection: Connection) -> Announcements | None:
    """None for a connection that `open_pool` has not opened."""
    announcements: Announcements | None = getattr(connection, "announcements", None)
    return announcements
