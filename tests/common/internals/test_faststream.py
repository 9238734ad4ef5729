"""The undocumented parts of FastStream still behave as `common.internals.faststream` expects."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError
from common.internals import faststream as internals
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from support.kafka.raw_records import order_shipped_record, produce
from support.kafka.topics import MakeTopic
from support.waiting import time_passes


def subscription_of(broker: KafkaBroker, topic: str) -> Any:
    return broker.subscriber(
        topic, group_id="canary", batch=True, ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="earliest",
    )  # fmt: skip


async def test_a_subscriber_without_a_handler_fetches_only_requested_batches(kafka: str, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=1)
    raw_records = [order_shipped_record("order-1", sequence) for sequence in range(1, 4)]
    await produce(kafka, topic, [*raw_records, order_shipped_record("order-1").with_header("ce_id", b"\xff")])
    broker = KafkaBroker(kafka, consumer_only=True, logger=None)
    subscription = subscription_of(broker, topic)
    assert internals.consumer_of(subscription) is None
    await broker.start()
    try:
        consumer = internals.consumer_of(subscription)
        assert isinstance(consumer, AIOKafkaConsumer)
        assert not consumer._enable_auto_commit
        await time_passes(0.3, "a loop of FastStream would have read records in that time")
        records: list[ConsumerRecord] = []
        async with asyncio.timeout(15):
            while len(records) < 4:
                batch = await internals.next_batch(subscription, most=2, wait_ms=50)
                assert len(batch) <= 2
                records += batch
        assert [record.offset for record in records] == [0, 1, 2, 3]
        assert records[0].value == raw_records[0].value
        assert await internals.next_batch(subscription, most=2, wait_ms=50) == ()
    finally:
        await internals.stop(broker)
    assert internals.consumer_of(subscription) is None


async def test_an_error_while_stopping_is_raised_unchanged(
    kafka: str, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = KafkaBroker(kafka, consumer_only=True, logger=None)
    subscription = subscription_of(broker, await make_topic(partitions=1))
    await broker.start()
    consumer = internals.consumer_of(subscription)
    stop = consumer.stop

    async def fail() -> None:
        await stop()
        raise KafkaError("not stopped")

    monkeypatch.setattr(consumer, "stop", fail)
    with pytest.raises(KafkaError, match="not stopped"):
        await internals.stop(broker)
