"""A producer that is started although a broker hangs, and stopped without sending what is left."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import wraps
from typing import Any

import aiokafka.client
from aiokafka import AIOKafkaProducer

from common.messaging.kafka import metadata_task
from common.messaging.outgoing import cluster

STOP_SECONDS = 1.0
# A start that meets a broker that hangs waits for the request's time limit; the next may meet others.
SECONDS_BETWEEN_STARTS = 0.25
MOST_STARTS = 6

_create_connection = aiokafka.client.create_conn


@wraps(_create_connection)
async def _create_closing_connection(*arguments: Any, **options: Any) -> Any:
    """A client asks for its first metadata by a connection that it leaves open when it is cancelled meanwhile."""
    connection = await _create_connection(*arguments, **options)
    if options.get("on_close") is None:
        send = connection.send

        async def send_or_close(*request: Any, **how: Any) -> Any:
            try:
                return await send(*request, **how)
            except asyncio.CancelledError:
                connection.close()
                raise

        connection.send = send_or_close
    return connection


aiokafka.client.create_conn = _create_closing_connection


class Producer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka is untyped
    """One that can be abandoned in the middle of a request."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        cluster.bound_updates(self.client)
        self._requests: set[asyncio.Task[Any]] = set()
        self._sender._send_produce_req = self._noted(self._sender._send_produce_req)

    def _noted(self, send: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
        @wraps(send)
        async def noted(*arguments: Any) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine that runs is in a task
            self._requests.add(task)
            try:
                await send(*arguments)
            finally:
                self._requests.discard(task)

        return noted

    async def abandon(self) -> None:
        """Stop without sending what is left. `stop()` waits until all is sent, and so for ever while a broker is away;
        and what is given up has to end with its producer, or it would land in Kafka whenever the broker is back."""
        metadata_task.forget(self.client)
        for connection in self.client._conns.values():
            if connection.connected():
                connection._writer.transport.abort()  # to close it would be to wait until all is sent
        sender = self._sender.sender_task
        tasks = {*self._requests, *([] if sender is None else [sender])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.client.close(), STOP_SECONDS)
        self._closed = True


async def first_to_start(
    new_producer: Callable[[Sequence[str]], Producer],
    servers: Sequence[str],
    topics: Collection[str],
    seconds: float,
) -> Producer:
    """A producer that is connected and knows these topics: the first of several, each of which begins with another
    server. Raises `KafkaError` or `TimeoutError` when no broker answers within `seconds`."""
    starts: set[asyncio.Task[Producer]] = set()
    deadline, begun = time.monotonic() + seconds, 0
    try:
        while (left := deadline - time.monotonic()) > 0:
            may_begin = begun < MOST_STARTS
            if may_begin:
                starts.add(asyncio.create_task(_start(new_producer(random.sample(servers, len(servers))), topics)))
                begun += 1
            wait = SECONDS_BETWEEN_STARTS if may_begin else left
            done, _ = await asyncio.wait(starts, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                if each.exception() is None:
                    starts.remove(each)
                    return each.result()
            if done and done == starts:
                done.pop().result()
            starts -= done
        raise TimeoutError("no broker answers")
    finally:
        await _end(starts)


async def _start(producer: Producer, topics: Collection[str]) -> Producer:
    try:
        await producer.start()
        if topics:
            producer.client.set_topics(topics)
            await cluster.refresh(producer.client)
    except BaseException:
        await producer.abandon()
        raise
    return producer


async def _end(starts: Collection["asyncio.Task[Producer]"]) -> None:
    for each in starts:
        each.cancel()
    for result in await asyncio.gather(*starts, return_exceptions=True):
        if isinstance(result, Producer):
            await result.abandon()
