"""How a producer is started while a broker may hang, and stopped without sending what is left."""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Sequence

from aiokafka import AIOKafkaProducer

from common.messaging import cluster, metadata_task

STOP_SECONDS = 1
# A start that meets a broker that hangs waits for the request's time limit; the next may meet others.
SECONDS_BETWEEN_STARTS = 0.5
MOST_STARTS = 5

NewProducer = Callable[[Sequence[str]], AIOKafkaProducer]


async def first_to_start(
    new_producer: NewProducer, servers: Sequence[str], topics: Collection[str], seconds: float
) -> AIOKafkaProducer:
    """A producer that is connected and knows these topics: the first of several, each of which begins with another
    server. Raises `KafkaError` or `TimeoutError` when no broker answers."""
    starts: set[asyncio.Task[AIOKafkaProducer]] = set()
    deadline, begun = time.monotonic() + seconds, 0
    try:
        while True:
            if begun < MOST_STARTS:
                starts.add(asyncio.create_task(_start(new_producer(_shuffled(servers)), topics)))
                begun += 1
            done: set[asyncio.Task[AIOKafkaProducer]] = set()
            while starts and not done and (left := deadline - time.monotonic()) > 0:
                wait = min(left, SECONDS_BETWEEN_STARTS)
                done, _ = await asyncio.wait(starts, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                if not done and begun < MOST_STARTS:
                    break
            for each in done:
                if each.exception() is None:
                    starts.remove(each)
                    return each.result()
            if done and done == starts:
                done.pop().result()
            starts -= done
            if time.monotonic() >= deadline:
                raise TimeoutError("no broker answers")
    finally:
        await _end(starts)


def _shuffled(servers: Sequence[str]) -> list[str]:
    return random.sample(servers, len(servers))


async def _start(producer: AIOKafkaProducer, topics: Collection[str]) -> AIOKafkaProducer:
    cluster.bound_updates(producer.client)
    try:
        await producer.start()
        if topics:
            producer.client.set_topics(topics)
            await cluster.refresh(producer.client)
    except BaseException:
        await stop(producer)
        raise
    return producer


async def _end(starts: Collection["asyncio.Task[AIOKafkaProducer]"]) -> None:
    for each in starts:
        each.cancel()
    for result in await asyncio.gather(*starts, return_exceptions=True):
        if isinstance(result, AIOKafkaProducer):
            await stop(result)


async def stop(producer: AIOKafkaProducer) -> None:
    """Stop without sending what is left. `producer.stop()` waits until all is sent, and so for ever while the broker is
    away; and what is given up has to end with its producer, or it would land in Kafka whenever the broker is back."""
    sender = producer._sender.sender_task
    metadata_task.forget(producer.client)
    if sender is not None:
        sender.cancel()
    await producer.client.close()
    if sender is not None and not (await asyncio.wait({sender}, timeout=STOP_SECONDS))[0]:
        sender.cancel()  # it was waiting for its requests; this ends them too
    producer._closed = True
