"""Undocumented parts of FastStream that we use, as of version 0.7.8.

A subscriber without a handler is documented to be read record by record; its client, which reads batches, is not. The
tests in `tests/common/internals/test_faststream.py` fail when one of these functions no longer means what it did.
"""

import itertools
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from faststream.kafka import KafkaBroker


def consumer_of(subscription: Any) -> AIOKafkaConsumer:
    """The client that FastStream has started for this subscriber; `None` before that and after the stop."""
    return subscription.consumer


async def next_batch(subscription: Any, *, most: int, wait_ms: int) -> tuple[ConsumerRecord, ...]:
    """Up to `most` records, as soon as there are some; none after `wait_ms`. Raises `KafkaError`.

    FastStream's own `get_msg` sleeps after each wait without records, which delays the first record after a pause; its
    loop passes over a batch whose handler failed, and sleeps at errors of the client without telling anybody.
    """
    records = await consumer_of(subscription).getmany(timeout_ms=wait_ms, max_records=most)
    return tuple(itertools.chain(*records.values()))


async def stop(broker: KafkaBroker) -> None:
    """Stop the broker's only subscriber. Raises what that raised, which FastStream wraps in an `ExceptionGroup`."""
    try:
        await broker.stop()
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
