"""A committed event or job ends the wait of a relay or worker; without notifications both look by themselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from common.database import listener as listener_module
from common.database.listener import Listener
from common.database.notifier import Channel, announce
from common.database.transactions import Pool, transaction
from common.jobs import queue, worker
from common.jobs.job import Job, NewJob
from common.jobs.worker import Worker
from common.messaging.outgoing import relay
from common.messaging.outgoing.relay import Relay
from support.events.traceparent import TRACEPARENT
from support.jobs.handlers import FunctionHandler, worker_settings
from support.kafka.relays import wait_until_published, write_events
from support.kafka.topics import MakeTopic
from support.postgres.databases import Database
from support.running import running
from support.waiting import eventually, eventually_true, time_passes

# Longer than any test may take: only a notification ends such a wait.
FOR_EVER = 600.0
NAME = "test listener"


@asynccontextmanager
async def listening(database: Database, channel: Channel) -> AsyncIterator[Listener]:
    listener = Listener(database.dsn, channel, application_name=NAME)
    task = asyncio.create_task(listener.listen())
    try:
        await eventually_true(lambda: listener.is_listening)
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def is_notified(listener: Listener, within: float = 10) -> bool:
    started = asyncio.get_running_loop().time()
    await listener.wait([], within)
    return asyncio.get_running_loop().time() - started < within


async def test_a_commit_notifies_the_listeners_of_its_channel_only(database: Database, pool: Pool) -> None:
    async with listening(database, Channel.EVENTS) as events, listening(database, Channel.JOBS) as jobs:
        events.start_round()
        jobs.start_round()
        async with transaction(pool) as connection:
            announce(connection, Channel.EVENTS)
        assert await is_notified(events)
        assert not await is_notified(jobs, within=0.3)


async def test_a_transaction_that_is_rolled_back_notifies_nobody(database: Database, pool: Pool) -> None:
    async with listening(database, Channel.JOBS) as listener:
        listener.start_round()
        with pytest.raises(RuntimeError):
            async with transaction(pool) as connection:
                announce(connection, Channel.JOBS)
                raise RuntimeError
        async with transaction(pool) as connection:  # perhaps by the same connection
            await connection.execute("SELECT 1")
        assert not await is_notified(listener, within=0.3)


async def test_a_notification_during_the_look_ends_the_wait_that_follows(database: Database, pool: Pool) -> None:
    async with listening(database, Channel.EVENTS) as listener:
        listener.start_round()
        async with transaction(pool) as connection:
            announce(connection, Channel.EVENTS)
        await time_passes(0.3, "the notification arrives before anybody waits for it")
        assert await is_notified(listener)
        assert await is_notified(listener)  # until the next round
        listener.start_round()
        assert not await is_notified(listener, within=0.3)


async def test_many_commits_at_once_send_few_notifications(pool: Pool) -> None:
    notifications: list[object] = []

    def note(*notification: object) -> None:
        notifications.append(notification)

    async with pool.acquire() as listening_connection:
        await listening_connection.add_listener(Channel.EVENTS, note)

        async def commit() -> None:
            async with transaction(pool) as connection:
                announce(connection, Channel.EVENTS)

        for _ in range(20):
            await asyncio.gather(*(commit() for _ in range(20)))
        await eventually_true(lambda: notifications)
        await time_passes(0.2, "further notifications would have come by then")
        assert len(notifications) < 20  # of 400 commits
        await listening_connection.remove_listener(Channel.EVENTS, note)


async def test_a_listener_whose_connection_ends_listens_again(
    database: Database, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "SECONDS_BETWEEN_CHECKS", 0.1)
    monkeypatch.setattr(listener_module, "SECONDS_BETWEEN_CONNECTIONS", 0.1)
    async with listening(database, Channel.EVENTS) as listener:
        listener.start_round()
        ended = await pool.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = $1 AND datname = current_database()",
            NAME,
        )
        assert len(ended) == 1
        # What was committed in between is not announced to the new connection: it counts as notified.
        assert await is_notified(listener)
        await eventually_true(lambda: listener.is_listening)


async def test_a_relay_publishes_an_event_as_soon_as_it_is_committed(
    database: Database, pool: Pool, kafka: str, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "LONGEST_WAIT", FOR_EVER)
    topic = await make_topic(partitions=1)
    listener = Listener(database.dsn, Channel.EVENTS, application_name=NAME)
    async with running(Relay(pool, kafka, "relay-1", source="orders", listener=listener).run):
        await eventually_true(lambda: listener.may_wait)
        # Before, at and after the end of the time in which it polls and gets no further notification.
        for sequence, pause in enumerate([0.0, 0.3, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3], start=1):
            await time_passes(pause, "the relay waits again, or polls still")
            await write_events(pool, topic, ["order-1"], range(sequence, sequence + 1))
            await wait_until_published(pool)


async def test_a_worker_starts_a_job_as_soon_as_it_is_committed(
    database: Database, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LONGEST_WAIT", FOR_EVER)
    done: list[str] = []

    async def work(job: Job) -> None:
        done.append(job.business_key)

    listener = Listener(database.dsn, Channel.JOBS, application_name=NAME)
    handlers, settings = [FunctionHandler("invoice", work)], worker_settings(0.01, 5)
    async with running(Worker(pool, handlers, "invoicing", settings, listener=listener).run):
        await eventually_true(lambda: listener.is_listening)
        for name, pause in {"walnut bowl": 0.0, "teacups": 0.5, "vase": 1.3}.items():
            await time_passes(pause, "the worker waits again, or polls still")
            async with transaction(pool) as connection:
                await queue.enqueue(connection, NewJob("invoice", name, {}, TRACEPARENT))
            await eventually_true(partial(done.__contains__, name))


async def test_what_nobody_announced_is_found_all_the_same(
    database: Database, pool: Pool, kafka: str, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=1)
    listener = Listener(database.dsn, Channel.JOBS, application_name=NAME)  # not the relay's channel
    async with running(Relay(pool, kafka, "relay-1", source="orders", listener=listener).run):
        await eventually_true(lambda: listener.is_listening)
        await write_events(pool, topic, ["order-1"], range(1, 2))
        await wait_until_published(pool)


async def test_a_worker_that_cannot_listen_polls(pool: Pool) -> None:
    done: list[str] = []

    async def work(job: Job) -> None:
        done.append(job.business_key)

    listener = Listener("postgresql://nobody@127.0.0.1:1/nothing", Channel.JOBS, application_name=NAME)
    handlers, settings = [FunctionHandler("invoice", work)], worker_settings(0.01, 5)
    async with running(Worker(pool, handlers, "invoicing", settings, listener=listener).run):
        async with transaction(pool) as connection:
            await queue.enqueue(connection, NewJob("invoice", "walnut bowl", {}, TRACEPARENT))

        async def is_done() -> bool:
            return done == ["walnut bowl"]

        await eventually(is_done)
    assert not listener.is_listening
