"""Undocumented parts of FastStream that we use, as of version 0.7.8.

A subscriber without a handler is documented to be read record by record; batches are not. The tests in
`tests/common/internals/test_faststream.py` fail when one of these functions no longer means what it did.
"""

from typing import Any, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from faststream.kafka import KafkaBroker


def consumer_of(subscription: Any) -> AIOKafkaConsumer:
    """The client that FastStream has started for this subscriber; `None` before that and after the stop."""
    return subscription.consumer


async def next_batch(subscription: Any) -> tuple[ConsumerRecord, ...]:
    """The next records of a subscriber with `batch=True` and no handler, or none after twice `batch_timeout_ms`.

    It is what FastStream's own loop calls. The loop itself is not used: it passes over a batch whose handler failed,
    and sleeps at errors of the client without telling anybody. Raises `KafkaError`.
    """
    return cast("tuple[ConsumerRecord, ...]", await subscription.get_msg(subscription.consumer))


async def stop(broker: KafkaBroker) -> None:
    """Stop the broker's only subscriber. Raises what that raised, which FastStream wraps in an `ExceptionGroup`."""
    try:
        await broker.stop()
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
