"""Pending events of the outbox: found by index, published again on request, and not purged meanwhile."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from common.database.statements import Connection
from common.database.transactions import Pool, open_pool, reading, transaction
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from common.messaging.outgoing.pending_events import _MARK, _READ, read_pending
from common.messaging.outgoing.repeating import publish_again
from common.running.purge import standard_rules
from common.running.role_components import RELAY_SERVER_SETTINGS
from common.settings import ServiceSettings
from support.kafka.relays import EVENT_STATES, PARK_EVENT, order_event, running_relay, write_events
from support.kafka.topics import MakeTopic, Topics
from support.postgres.databases import Database
from support.waiting import eventually

ORDERS = [f"order-{number}" for number in range(20)]


@pytest_asyncio.fixture
async def topic(make_topic: MakeTopic) -> str:
    return await make_topic(partitions=3)


async def test_events_before_a_parked_event_of_their_key_are_sent_again(pool: Pool, kafka: str, topic: str) -> None:
    await write_events(pool, topic, ["order-1"], range(1, 5))
    await pool.execute(PARK_EVENT, topic, "order-1", 3)
    await pool.execute("DELETE FROM outbox_pending WHERE position < (SELECT position FROM outbox_parked)")
    async with transaction(pool) as connection:
        assert await outbox.send_again(connection, datetime(2026, 1, 1, tzinfo=UTC)) == 2
    async with running_relay(pool, kafka):
        await eventually(lambda: pool.fetchval("SELECT min(position) >= 3 FROM outbox_pending"))
    assert (await Topics(kafka).sequences(topic))[0] == {"order-1": [1, 2]}
    assert [tuple(row) for row in await pool.fetch(EVENT_STATES)] == [
        ("order-1", 1, "published"),
        ("order-1", 2, "published"),
        ("order-1", 3, "parked"),
        ("order-1", 4, "pending"),
    ]


async def ctids_of_all(connection: Connection) -> list[object]:
    return [ctid for (ctid,) in await connection.fetch("SELECT ctid FROM outbox FOR UPDATE")]


async def test_events_that_will_be_sent_again_are_not_purged(database: Database, pool: Pool, topic: str) -> None:
    await write_events(pool, topic, ORDERS, range(1, 2))
    await pool.execute("DELETE FROM outbox_pending")
    await pool.execute("UPDATE outbox SET created_at = now() - interval '100 days' WHERE key <> 'order-0'")
    settings = ServiceSettings(database_url="postgresql://nowhere", kafka_bootstrap="nowhere")
    (rule,) = [rule for rule in standard_rules(settings) if rule.table.name == "outbox"]
    async with transaction(pool) as purging:
        # What was expired when the purge looked is about to be locked by it, and is asked for again in between.
        async with transaction(pool) as connection:
            assert await outbox.send_again(connection, datetime(2020, 1, 1, tzinfo=UTC)) == len(ORDERS)
            assert await rule.purge(purging) == (0, 0)
        assert await rule.delete.execute(purging, ctids=await ctids_of_all(purging)) == 0
        assert await rule.purge(purging) == (0, 0)
    assert await pool.fetchval("SELECT count(*) FROM outbox") == len(ORDERS)


async def test_an_event_that_is_published_again_is_not_purged(database: Database, pool: Pool, topic: str) -> None:
    await write_events(pool, topic, ORDERS[:1], range(1, 2))
    await pool.execute("DELETE FROM outbox_pending")
    event_id = await pool.fetchval("SELECT id FROM outbox")
    await pool.execute("UPDATE outbox SET created_at = now() - interval '100 days'")
    settings = ServiceSettings(database_url="postgresql://nowhere", kafka_bootstrap="nowhere")
    (rule,) = [rule for rule in standard_rules(settings) if rule.table.name == "outbox"]
    async with transaction(pool) as purging, transaction(pool) as connection:
        assert await publish_again(connection, event_id, ORDERS[0]) == 1
        assert await rule.purge(purging) == (0, 0)


async def test_a_pending_row_without_its_event_delays_no_other(database: Database, pool: Pool, topic: str) -> None:
    await pool.execute("INSERT INTO outbox_pending VALUES (0, 1)")
    await pool.execute("SELECT nextval(pg_get_serial_sequence('outbox', 'position')) FROM generate_series(1, 10000)")
    await write_events(pool, topic, ORDERS, range(1, 2))
    async with reading(pool) as connection:
        assert len(await read_pending(connection, range(32))) == len(ORDERS)


@pytest.mark.parametrize("is_analyzed", [True, False])
async def test_statements_planned_while_nothing_was_pending_use_the_index_of_a_backlog(
    database: Database, topic: str, is_analyzed: bool
) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    relays = await open_pool(database.dsn, size=1, application_name="test", server_settings=RELAY_SERVER_SETTINGS)
    try:
        if is_analyzed:
            await write_events(relays, topic, ORDERS, range(1, 2))
            await owner.execute("DELETE FROM outbox_pending")
            await owner.execute(
                "VACUUM ANALYZE outbox, outbox_pending"
            )  # which tells the planner of no row and no page
        await relays.execute("SET plan_cache_mode = force_generic_plan")
        lanes, positions = list(range(32)), list(range(100))
        for statement, values in (
            (_READ, {"lanes": lanes, "hold": 0, "in_flight": positions}),
            (_MARK, {"lanes": lanes, "tokens": lanes, "hold": 0, "positions": positions}),
        ):
            plan = await relays.fetch(f"EXPLAIN {statement.sql}", *statement._arguments(values))
            assert not [line for (line,) in plan if re.search(r"(Seq|Heap) Scan on (outbox|outbox_pending)\b", line)]
    finally:
        await relays.close()
        await owner.close()


@pytest.mark.parametrize("has_counter", [True, False])
async def test_the_times_of_a_keys_events_never_decrease(pool: Pool, topic: str, has_counter: bool) -> None:
    """Whoever waited for the lock began its transaction earlier, and the clock may have been set back since."""

    def event(sequence: int, time: datetime | None = None) -> NewEvent:
        return replace(order_event(topic, "order-1", sequence), sequence=sequence if has_counter else None, time=time)

    async with transaction(pool) as late:
        await late.fetchval("SELECT 1")
        await write(pool, event(1))
        await outbox.append(late, event(2))
    if not has_counter:
        await pool.execute("UPDATE event_streams SET last_at = now() + interval '1 hour'")
        await write(pool, event(3))
    else:
        await write(pool, event(3, datetime(2999, 1, 1, tzinfo=UTC)))
    times = [time for (time,) in await pool.fetch("SELECT created_at FROM outbox ORDER BY sequence")]
    assert times == sorted(times)
    assert len(set(times)) == 3
    assert times[2] > times[1] + timedelta(minutes=50)


async def write(pool: Pool, event: NewEvent) -> None:
    async with transaction(pool) as connection:
        await outbox.append(connection, event)


async def test_held_back_events_are_sent_once_when_all_are_sent_again(pool: Pool, topic: str) -> None:
    await write_events(pool, topic, ["order-1"], range(1, 5))
    await pool.execute(
        "DELETE FROM outbox_pending USING outbox WHERE outbox.position = outbox_pending.position AND sequence < 3"
    )
    await pool.execute(
        "UPDATE outbox_pending AS pending SET hold = 7 FROM outbox"
        " WHERE outbox.position = pending.position AND sequence = 4"
    )
    async with transaction(pool) as connection:
        assert await outbox.send_again(connection, datetime(2026, 1, 1, tzinfo=UTC)) == 2
    found = await pool.fetch("SELECT sequence, hold FROM outbox_pending JOIN outbox USING (position) ORDER BY sequence")
    assert [tuple(row) for row in found] == [(1, 0), (2, 0), (3, 0), (4, 7)]


async def test_events_held_back_behind_a_parked_event_are_sent_after_it(pool: Pool, topic: str) -> None:
    await write_events(pool, topic, ["order-1"], range(1, 4))
    position = await pool.fetchval(PARK_EVENT, topic, "order-1", 1)
    await pool.execute("UPDATE outbox_pending SET hold = 7")
    async with transaction(pool) as connection:
        assert await outbox.replay(connection, position)
        assert [row["sequence"] for row in await read_pending(connection, range(32))] == [1, 2, 3]
        assert await read_pending(connection, range(32), 7) == []


async def test_a_hundred_thousand_held_back_events_do_not_slow_the_others(pool: Pool, topic: str) -> None:
    await pool.execute(
        "WITH event AS (INSERT INTO outbox"
        " (id, aggregatetype, aggregateid, type, payload, topic, key, sequence, traceparent)"
        " SELECT gen_random_uuid(), 'order', 'held', 'order.paid', 'x', $1, 'held', number, '' "
        " FROM generate_series(1, 100000) AS number RETURNING position)"
        " INSERT INTO outbox_pending SELECT position, 1, 7 FROM event",
        topic,
    )
    await write_events(pool, topic, ORDERS, range(1, 3))
    async with reading(pool) as connection:
        await connection.execute("SET enable_seqscan = off")
        rows = await read_pending(connection, range(32))
        began = time.perf_counter()
        for _ in range(10):
            await read_pending(connection, range(32))
        took = (time.perf_counter() - began) / 10
        plan = await connection.fetch(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {_READ.sql}",
            *_READ._arguments({"lanes": list(range(32)), "hold": 0, "in_flight": []}),
        )
        await connection.execute("RESET enable_seqscan")
    assert len(rows) == 2 * len(ORDERS)
    top = plan[0][0][0]["Plan"]
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 1000
    assert took < 0.05
