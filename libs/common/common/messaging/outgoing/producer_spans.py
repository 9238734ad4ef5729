"""The spans of events that Kafka has acknowledged or refused, below the change that made each of them (ADR 45)."""

from collections.abc import Iterable
from datetime import datetime
from time import time_ns
from typing import TYPE_CHECKING

from common.messaging.event_attributes import event_attributes
from common.messaging.outgoing.holds import Partition
from common.messaging.outgoing.pending_events import Row
from common.telemetry.tracing import active_spans

if TYPE_CHECKING:
    from common.telemetry.spans import Attributes


class ProducerSpans:
    """Of a batch of rows on its way to a partition. The records keep the `traceparent` of their rows, so that a record
    is the same each time that it is sent; a batch that is sent again therefore has no span for its failure."""

    def __init__(self, rows: Iterable[Row], partition: Partition) -> None:
        self._rows = rows
        self._partition = partition
        self._started_ns = time_ns()

    def end(self, error: str | None = None) -> None:
        active = active_spans()
        if active is None:
            return
        topic, number = self._partition
        for row in self._rows:
            attributes: Attributes = {
                **event_attributes(topic, number, event_id=str(row["id"]), event_type=row["type"], key=row["key"]),
                "messaging.operation.name": "send",
                "messaging.operation.type": "send",
                "articurated.outbox.waited_ms": self._waited_ms(row["created_at"]),
            }
            name, parent = f"send {topic}", row["traceparent"]
            active.end(active.start(name, "producer", parent, attributes, started_ns=self._started_ns), error)

    def _waited_ms(self, since: datetime) -> int:
        """By two clocks, the database's and this machine's."""
        return max(self._started_ns // 1_000_000 - int(since.timestamp() * 1000), 0)
