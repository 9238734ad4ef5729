"""Announces committed events and jobs by NOTIFY, so that a relay or worker that waits looks at once (ADR 48).

NOTIFY is a statement of its own, after the commit: within the transaction it would make all commits wait for each
other. It may be lost; the listener also looks by itself from time to time.
"""

import time
from enum import StrEnum

import structlog

from common.database.statements import Connection

# A notified listener polls for longer than this: another notification would be in vain.
SECONDS_BETWEEN_NOTIFICATIONS = 0.75
SEND_SECONDS = 2.0
# A notification is not worth an fsync: it does not survive a crash in any case.
_NOTIFY = """
SELECT set_config('synchronous_commit', 'off', true), pg_notify(channel, '') FROM unnest($1::text[]) channel
"""

_log = structlog.get_logger(__name__)


class Channel(StrEnum):
    EVENTS = "articurated_events"
    JOBS = "articurated_jobs"


class Notifier:
    """Sends the notifications of one pool's transactions, and limits their number for each channel."""

    def __init__(self) -> None:
        self._sent_at: dict[Channel, float] = {}

    async def notify(self, connection: Connection, channels: set[Channel]) -> None:
        """Send unless that was done a moment ago. Never raises but for a cancellation."""
        now = time.monotonic()
        due = [each for each in channels if now - self._sent_at.get(each, 0) >= SECONDS_BETWEEN_NOTIFICATIONS]
        if not due:
            return
        self._sent_at.update(dict.fromkeys(due, now))
        try:
            await connection.execute(_NOTIFY, due, timeout=SEND_SECONDS)
        except Exception as error:  # any: the transaction is committed, and must not be reported as failed
            _log.debug("a notification was not sent", error=repr(error))


class Announcements:
    """What the open transaction of a connection has announced."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._channels: set[Channel] = set()

    def add(self, channel: Channel) -> None:
        self._channels.add(channel)

    def forget(self) -> None:
        self._channels = set()

    async def send(self, connection: Connection) -> None:
        channels, self._channels = self._channels, set()
        if channels:
            await self._notifier.notify(connection, channels)


def announce(connection: Connection, channel: Channel) -> None:
    """Notify the listeners of the channel after this transaction has been committed."""
    if announcements := announcements_of(connection):
        announcements.add(channel)


def announcements_of(connection: Connection) -> Announcements | None:
    """None for a connection that `open_pool` has not opened."""
    announcements: Announcements | None = getattr(connection, "announcements", None)
    return announcements
