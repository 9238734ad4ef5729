"""The spans of events: of those that Kafka acknowledged, and of those that a consumer processed."""

from collections.abc import Iterator, Sequence

import pytest
import pytest_asyncio
from common.database.statements import Connection
from common.database.transactions import Pool
from common.messaging.incoming.inbox import Inbox
from common.messaging.incoming.poison import PoisonRecord
from common.messaging.incoming.records import EventHandler, Incoming
from local_stack.kafka import Kafka
from support.events.traceparent import TRACEPARENT
from support.kafka.raw_records import order_shipped_record
from support.kafka.relays import running_relay, wait_until_published, write_events
from support.kafka.subscribers import GROUP, HANDLERS, OrderShipped, create_lines
from support.kafka.topics import MakeTopic
from support.postgres.databases import Database
from support.telemetry.recorded_spans import RecordedSpans, recorded_spans

TOPIC = "articurated.orders"


@pytest.fixture
def spans() -> Iterator[RecordedSpans]:
    with recorded_spans() as spans:
        yield spans


@pytest_asyncio.fixture
async def pool(database: Database, pool: Pool) -> Pool:
    await create_lines(database)
    return pool


def records(*orders: str) -> list[PoisonRecord]:
    """As they come out of one partition."""
    raw = [order_shipped_record(order) for order in orders]
    return [
        PoisonRecord(TOPIC, 0, offset, each.key, each.value, each.headers, 1_790_000_000_000, "kept")
        for offset, each in enumerate(raw)
    ]


async def test_each_new_event_of_a_batch_has_a_span_below_the_change_that_made_it(
    pool: Pool, spans: RecordedSpans
) -> None:
    batch = records("order-1", "order-2")
    await Inbox(pool, GROUP, HANDLERS).process([*batch, batch[0]])
    first, second = spans.ended
    for span, order in ((first, "order-1"), (second, "order-2")):
        assert (span.name, span.kind, span.error) == (f"process {TOPIC}", "consumer", None)
        assert (span.trace_id, span.parent_id) == (TRACEPARENT[3:35], TRACEPARENT[36:52])
        assert span.attributes["messaging.kafka.message.key"] == order
        assert span.attributes["messaging.batch.message_count"] == 3
        assert span.attributes["articurated.event_type"] == "order.shipped"
    assert (first.links, second.links) == ([], [first.span_id])


async def test_the_effects_of_an_event_carry_its_span(pool: Pool, spans: RecordedSpans) -> None:
    traceparents: list[str] = []

    async def process(_: Connection, events: Sequence[Incoming[OrderShipped]]) -> None:
        traceparents.extend(incoming.event.new_actor().traceparent for incoming in events)

    await Inbox(pool, GROUP, {"order.shipped": EventHandler(OrderShipped, process)}).process(records("order-1"))
    [span] = spans.ended
    assert traceparents == [f"00-{span.trace_id}-{span.span_id}-01"]


async def test_an_event_that_cannot_be_processed_has_the_error_of_each_try(pool: Pool, spans: RecordedSpans) -> None:
    await Inbox(pool, GROUP, HANDLERS).process(records("broken"))
    assert len(spans.ended) > 1
    assert {span.attributes["error.type"] for span in spans.ended} == {"BrokenOrder"}


async def test_a_published_event_has_a_span_and_its_record_the_traceparent_of_the_change(
    pool: Pool, kafka_server: Kafka, make_topic: MakeTopic, spans: RecordedSpans
) -> None:
    topic = await make_topic()
    await write_events(pool, topic, ["order-1"], range(1, 3))
    async with running_relay(pool, kafka_server.bootstrap):
        await wait_until_published(pool)
    assert len(spans.ended) == 2
    for span in spans.ended:
        assert (span.name, span.kind, span.error) == (f"send {topic}", "producer", None)
        assert (span.trace_id, span.parent_id) == (TRACEPARENT[3:35], TRACEPARENT[36:52])
        assert int(span.attributes["articurated.outbox.waited_ms"]) >= 0
