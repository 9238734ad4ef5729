"""The checks of returns: results of refunds are known, and the copy of orders is up to date (ADR 40)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from common.database.statements import Connection
from common.database.transactions import Pool, reading
from common.messaging.envelope import Record
from common.messaging.incoming.records import read
from common.messaging.outgoing.repeating import publish_events_again
from common.reconciliation.check import MOST_FINDINGS, Check, Finding, QueryCheck
from common.reconciliation.topic_reader import TopicEvent, TopicReader

from returns.consumer import EVENT_HANDLERS
from returns.domain.return_ import ReturnStatus
from returns.events import OF_STATUS, ORDERS_TOPIC, RETURNS_TOPIC, OrderView
from returns.repository import checks

# How far the first round reads back.
WINDOW = timedelta(hours=1)
SETTLED = timedelta(minutes=1)
# The orders that are compared in each round.
MOST_WATCHED = 20_000
ORDER_EVENTS = frozenset(name for name, handler in EVENT_HANDLERS.items() if handler.view is OrderView)


def return_checks(bootstrap: str, refund_limit: timedelta) -> Iterable[Check]:
    """`refund_limit` is longer than all retries of a refund."""
    return [
        QueryCheck(
            checks.REFUND_RESULT_MISSING, checks.find_without_refund_result, repair=_complete_again, limit=refund_limit
        ),
        CopyOfOrders(bootstrap),
    ]


async def _complete_again(connection: Connection, finding: Finding) -> None:
    """Refunds opens the refund if it never got the event; if it has a result, it publishes it again because of the
    discrepancy."""
    completed = OF_STATUS[ReturnStatus.COMPLETED]
    await publish_events_again(connection, RETURNS_TOPIC, finding.details["order_id"], completed)


class CopyOfOrders(Check):
    """The copy of each order that changed lately is from its last event. Repair: its handler gets the event again."""

    name = "order_copy_stale"
    most_repairs = 2

    def __init__(self, bootstrap: str, topic: str = ORDERS_TOPIC, settled: timedelta = SETTLED) -> None:
        self._reader = TopicReader(bootstrap, [topic])
        self._settled = settled
        # The last event of each of the orders that changed last, the latest at the end.
        self._last: dict[str, TopicEvent] = {}
        self._records: dict[str, Record] = {}

    async def find(self, pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        now = datetime.now(UTC)
        for event in await self._reader.read(now - WINDOW):
            known = self._last.get(event.key)
            if event.type in ORDER_EVENTS and (known is None or known.sequence < event.sequence):
                self._last.pop(event.key, None)
                self._last[event.key] = event
        self._last = dict(list(self._last.items())[-MOST_WATCHED:])
        settled_before = (now - self._settled).timestamp() * 1000
        settled = [event for event in self._last.values() if event.timestamp < settled_before]
        async with reading(pool) as connection:
            versions = await checks.versions_of_known_orders(connection, [UUID(event.key) for event in settled])
        stale = [event for event in settled if versions.get(event.key, (0, 0)) < event.sequence]
        stale = stale[:most]
        self._records = await self._reader.fetch(stale)
        return [_finding(event, versions.get(event.key)) for event in stale]

    async def repair(self, connection: Connection, finding: Finding) -> None:
        incoming = read(self._records[finding.details["event_id"]], EVENT_HANDLERS)
        if incoming is not None:
            await EVENT_HANDLERS[incoming.event.type].process(connection, [incoming])


def _finding(event: TopicEvent, version: tuple[int, int] | None) -> Finding:
    details = {"event_id": event.id, "type": event.type, "of_event": event.sequence, "of_copy": version}
    return Finding(event.key, event.key, {"order_id": event.key, **details})
