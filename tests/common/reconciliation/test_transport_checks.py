"""An event that is missing on Kafka, or that a consumer passed without processing it, is found and repaired."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from common.database.transactions import Pool, transaction
from common.reconciliation.check import Check, Finding
from common.reconciliation.transport_checks import EventsAreConsumed, EventsAreOnKafka
from support.kafka.relays import running_relay, wait_until_published, write_events
from support.kafka.subscribers import GROUP, HANDLERS, create_lines, running_subscriber, written_lines
from support.kafka.topics import MakeTopic, Topics
from support.postgres.databases import Database, MakeDatabase, MakePool
from support.waiting import eventually

NOW = timedelta(0)


async def find(check: Check, pool: Pool, rounds: int = 1) -> Sequence[Finding]:
    found: Sequence[Finding] = []
    for _ in range(rounds):
        found = await check.find(pool)
    return found


async def repair(check: Check, pool: Pool, *findings: Finding) -> None:
    for finding in findings:
        async with transaction(pool) as connection:
            await check.repair(connection, finding)


async def test_an_event_that_was_dropped_before_the_relay_is_found_and_published_again(
    pool: Pool, kafka: str, make_topic: MakeTopic
) -> None:
    topic = await make_topic()
    check = EventsAreOnKafka(kafka, [topic], settled=NOW)
    await write_events(pool, topic, ["a", "b"], range(1, 4))
    assert await find(check, pool) == []  # they wait for the relay
    await pool.execute("DELETE FROM outbox_pending WHERE position = (SELECT max(position) FROM outbox_pending)")
    lost = await pool.fetchrow("SELECT id, key FROM outbox ORDER BY position DESC LIMIT 1")
    assert lost is not None

    async with running_relay(pool, kafka):
        await wait_until_published(pool)
        check = EventsAreOnKafka(kafka, [topic], settled=NOW)
        [finding] = await find(check, pool)
        assert (finding.subject, finding.key) == (str(lost["id"]), lost["key"])
        assert await find(check, pool) == [finding]
        await repair(check, pool, finding)
        await wait_until_published(pool)

    assert await find(check, pool) == []
    assert (await Topics(kafka).sequences(topic))[0] == {"a": [1, 2, 3], "b": [1, 2, 3]}


async def test_parked_events_are_not_reported_as_missing(pool: Pool, kafka: str, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    await write_events(pool, topic, ["a"], range(1, 2))
    await pool.execute(
        "WITH taken AS (DELETE FROM outbox_pending RETURNING position, lane) "
        "INSERT INTO outbox_parked (position, lane, topic, key, error) SELECT *, $1, 'a', 'too large' FROM taken",
        topic,
    )
    assert await find(EventsAreOnKafka(kafka, [topic], settled=NOW), pool) == []


@pytest.fixture
def producer_database(make_database: MakeDatabase) -> Database:
    return make_database(None)


async def test_an_event_that_the_consumer_passed_without_a_trace_is_found_and_processed(
    database: Database, pool: Pool, producer_database: Database, make_pool: MakePool, kafka: str, make_topic: MakeTopic
) -> None:
    topic = await make_topic()
    await create_lines(database)
    producer = await make_pool(producer_database)
    check = EventsAreConsumed(kafka, [topic], GROUP, HANDLERS, settled=NOW)
    async with running_relay(producer, kafka), running_subscriber(pool, kafka, [topic]):
        await write_events(producer, topic, ["a", "b"], range(1, 3))

        async def all_are_passed() -> bool:
            passed = await pool.fetchval("SELECT sum(position) FROM consumer_positions WHERE topic = $1", topic)
            return len(await written_lines(pool)) == 4 and passed == 4

        await eventually(all_are_passed)
        assert await find(check, pool, rounds=2) == []
        lost = await pool.fetchval(
            "DELETE FROM inbox WHERE event_id = (SELECT min(event_id) FROM inbox) RETURNING event_id"
        )
        await pool.execute("DELETE FROM lines")

        check = EventsAreConsumed(kafka, [topic], GROUP, HANDLERS, settled=NOW)
        assert await find(check, pool) == []  # once may be a record that waits for a lock
        [finding] = await find(check, pool)
        assert finding.subject == lost
        await repair(check, pool, finding)

    assert len(await written_lines(pool)) == 1
    assert await find(check, pool, rounds=2) == []
