"""What a consumer knows and stores after Kafka was down, hung, or lost its data and was filled again."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from common.database.transactions import Pool
from common.messaging.incoming import consumer_positions
from common.messaging.incoming.subscriber import Subscriber
from common.messaging.kafka.topics import create_topics
from support.kafka.poison_records import POISON_RECORDS
from support.kafka.raw_records import order_shipped_record, produce
from support.kafka.subscribers import GROUP, HANDLERS, running_subscriber, written_lines
from support.kafka.topics import MakeTopic
from support.processes.servers import new_kafka
from support.waiting import eventually, stays_true

TOPIC = "articurated.orders"


async def poison_values(pool: Pool) -> list[bytes]:
    return [row["value"] for row in await pool.fetch("SELECT value FROM poison ORDER BY created_at")]


@pytest.mark.parametrize("state", ["kept", "replayed"])
async def test_poison_records_from_before_and_after_a_loss_of_kafka_are_both_stored(
    session_folder: Path, pool: Pool, state: str
) -> None:
    async def has_poison(count: int) -> bool:
        return len(await poison_values(pool)) == count

    with new_kafka(session_folder / f"lost-{state}") as lost:
        await create_topics(lost.bootstrap, [TOPIC], partitions=1)
        async with running_subscriber(pool, lost.bootstrap, [TOPIC]):
            await produce(lost.bootstrap, TOPIC, [POISON_RECORDS["no JSON"]])
            await eventually(lambda: has_poison(1))
    await pool.execute("UPDATE poison SET state = $1", state)
    broken = order_shipped_record("broken", 7)
    with new_kafka(session_folder / f"filled-{state}") as filled:
        await create_topics(filled.bootstrap, [TOPIC], partitions=1)
        async with running_subscriber(pool, filled.bootstrap, [TOPIC]):
            await produce(filled.bootstrap, TOPIC, [broken, order_shipped_record("fine")])
            await eventually(lambda: has_poison(2))

            async def is_fine() -> bool:
                return await written_lines(pool) == [("fine", 1)]

            await eventually(is_fine)
    assert await poison_values(pool) == [POISON_RECORDS["no JSON"].value, broken.value]
    copies = await pool.fetch("SELECT id, aggregateid FROM outbox WHERE type = 'record.dead_lettered'")
    assert len({row["id"] for row in copies}) == len({row["aggregateid"] for row in copies}) == 2


@pytest.mark.parametrize("fault", ["hung", "died"])
async def test_nothing_counts_as_caught_up_while_events_of_an_outage_are_in_the_outbox(
    session_folder: Path, pool: Pool, fault: str
) -> None:
    """The relay finds Kafka again later than the consumer, as it may: here three seconds later."""
    with new_kafka(session_folder / fault) as kafka:
        await create_topics(kafka.bootstrap, [TOPIC], partitions=1)
        consumer = Subscriber(pool, kafka.bootstrap, group=GROUP, topics=[TOPIC], handlers=HANDLERS, session_seconds=10)
        stopping = asyncio.Event()
        running = asyncio.create_task(consumer.run(stopping))
        try:
            await produce(kafka.bootstrap, TOPIC, [order_shipped_record("before")])
            await eventually(lambda: is_caught_up(pool))
            if fault == "hung":
                os.kill(kafka.pid, signal.SIGSTOP)
            else:
                kafka.kill()
            await eventually(lambda: is_cut_off(consumer))
            meanwhile = order_shipped_record("meanwhile")
            told_at = await pool.fetchval("SELECT clock_timestamp()")
            if fault == "hung":
                os.kill(kafka.pid, signal.SIGCONT)
            else:
                await asyncio.to_thread(kafka.start)

            async def is_current() -> bool:
                query = "SELECT count(*) = 1 FROM consumer_positions WHERE caught_up_at >= $1"
                return bool(await pool.fetchval(query, told_at))

            async def is_behind() -> bool:
                return not await is_current()

            await eventually(lambda: is_connected(consumer), within=60)
            await stays_true(is_behind, seconds=3, why="the consumer reports its position every second")
            await produce(kafka.bootstrap, TOPIC, [meanwhile])
            await eventually(is_current, within=60)
            assert ("meanwhile", 1) in await written_lines(pool)
        finally:
            stopping.set()
            await asyncio.wait_for(running, 15)


async def is_connected(consumer: Subscriber) -> bool:
    return consumer.connected


async def is_caught_up(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT count(*) = 1 FROM consumer_positions WHERE lag = 0 AND position >= 1"))


async def is_cut_off(consumer: Subscriber) -> bool:
    return not consumer.connected


async def test_a_rebalance_during_a_position_report_does_not_end_the_consumer(
    pool: Pool, kafka: str, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partitions change hands while the report waits for a connection."""
    topic = await make_topic(partitions=2)

    async def has(count: int) -> bool:
        return len(await written_lines(pool)) == count

    async with running_subscriber(pool, kafka, [topic]) as consumer:
        await produce(kafka, topic, [order_shipped_record("order-1")])
        await eventually(lambda: has(1))
        progress, reported = consumer._progress, asyncio.Event()
        store: Any = consumer_positions.store

        async def revoke_first(*arguments: object) -> None:
            monkeypatch.undo()
            await progress.on_partitions_revoked([TopicPartition(topic, 0)])
            await store(*arguments)
            progress.positions.is_assigned = True
            reported.set()

        monkeypatch.setattr(consumer_positions, "store", revoke_first)
        await asyncio.wait_for(reported.wait(), 10)
        await produce(kafka, topic, [order_shipped_record("order-1", 2)])
        await eventually(lambda: has(2))
