"""The spans of consumed events: one for each new event of a batch, below the change that published it (ADR 45)."""

from dataclasses import replace
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from common.messaging.envelope import Record
from common.messaging.event_attributes import event_attributes
from common.messaging.incoming.records import Incoming
from common.telemetry.tracing import active_spans

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from common.telemetry.spans import Attributes


class ConsumerSpans:
    """Around the transaction of a batch, whose failure is the failure of all its events. Each span but the first has a
    link to the first one: it tells which traces shared a transaction, without a span for the batch."""

    def __init__(self, consumer: str, record_count: int) -> None:
        self._consumer = consumer
        self._record_count = record_count
        self._started_ns = time_ns()
        self._active = active_spans()
        self._begun: list[Span] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: TracebackType | None) -> None:
        if self._active is not None:
            for span in self._begun:
                self._active.end(span, error)

    def begin(self, record: Record, incoming: Incoming[Any]) -> Incoming[Any]:
        """The event with the span that its effects have as their parent."""
        active, event = self._active, incoming.event
        if active is None:
            return incoming
        attributes: Attributes = {
            **event_attributes(record.topic, record.partition, event_id=event.id, event_type=event.type, key=event.key),
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.consumer.group.name": self._consumer,
            "messaging.kafka.offset": record.offset,
            "messaging.batch.message_count": self._record_count,
        }
        span = active.start(
            f"process {record.topic}",
            "consumer",
            event.traceparent,
            attributes,
            started_ns=self._started_ns,
            link=active.traceparent_of(self._begun[0]) if self._begun else None,
        )
        self._begun.append(span)
        return replace(incoming, event=replace(event, consumer_traceparent=active.traceparent_of(span)))
