"""A producer closes its connections when it is abandoned, whatever happens to the task that abandons it."""

import asyncio

import pytest
from common.internals import aiokafka
from common.messaging.outgoing.producer import Producer, start_producer


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_a_cancelled_task_finishes_abandoning_its_producer_first(
    kafka: str, cancellations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = await start_producer([kafka], [])
    is_closing, may_close = asyncio.Event(), asyncio.Event()
    close = producer.client.close

    async def close_later() -> None:
        is_closing.set()
        await may_close.wait()
        await close()

    monkeypatch.setattr(producer.client, "close", close_later)
    abandoning = asyncio.create_task(producer.abandon())
    await is_closing.wait()
    for _ in range(cancellations):
        abandoning.cancel()
        await asyncio.sleep(0)
    may_close.set()
    with pytest.raises(asyncio.CancelledError):
        await abandoning
    assert not connected_brokers(producer)


def connected_brokers(producer: Producer) -> list[int]:
    return [
        broker.nodeId
        for broker in producer.client.cluster.brokers()
        if aiokafka.is_connected(producer.client, broker.nodeId)
    ]
