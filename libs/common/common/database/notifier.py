"""Announces committed events and jobs by NOTIFY, so that a relay or worker that waits looks at once (ADR 48).

NOTIFY is a statement of its own, after the commit: within the transaction it would make all commits wait for each
other. It may be lost; the listener also looks by itself from time to time.
"""

import asyncio
import contextvars
import time
from collections.abc import Collection
from enum import StrEnum
from typing import Any

import asyncpg
import structlog

from common.database.statements import Connection

# After a notification, a listener that has found something polls for longer than this: another one would be in vain.
SECONDS_BETWEEN_NOTIFICATIONS = 0.1
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
        self._sent_at: dict[Channel, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def notify(self, channels: Collection[Channel]) -> None:
        """Send soon, unless that was done a moment ago. Never raises, and does not wait."""
        now = time.monotonic()
        due = [each for each in channels if now - self._sent_at.get(each, 0) >= SECONDS_BETWEEN_NOTIFICATIONS]
        if due and self.pool is not None:
            self._sent_at.update(dict.fromkeys(due, now))
            # Without the context of the request: its limits and its trace are not those of a notification.
            sending = self._send(self.pool, due)
            task = asyncio.get_running_loop().create_task(sending, context=contextvars.Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, pool: "asyncpg.Pool[Any]", channels: Collection[Channel]) -> None:
        query = "SELECT pg_notify(channel, '') FROM unnest($1::text[]) channel"
        try:
            async with asyncio.timeout(SEND_SECONDS), pool.acquire() as connection:
                await connection.execute(query, list(channels))
        except Exception as error:  # whatever it is, the listeners look by themselves
            _log.debug("a notification was not sent", error=repr(error))


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
    """Notify the listeners of the channel after this transaction has been committed."""
    if announcements := announcements_of(connection):
        announcements.add(channel)


def announcements_of(connection: Connection) -> Announcements | None:
    """None for a connection that `open_pool` has not opened."""
    announcements: Announcements | None = getattr(connection, "announcements", None)
    return announcements
