"""Events put into Kafka while nobody reads them, so that a consumer finds them all at once."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec
from benchmarks import measuring
from benchmarks.order_events import Row, records_of
from benchmarks.raw_producer import Seen
from local_stack.kafka import Kafka


def produce(broker: Kafka, topic: str, rows: Sequence[Row]) -> Seen:
    """By the raw producer, in a process of its own."""
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(msgspec.msgpack.encode(list(records_of(rows))))
        arguments = (broker.bootstrap, topic, file.name, str(broker.pid))
        seen: Seen = json.loads(measuring.python("-m", "benchmarks.raw_producer", *arguments))
        return seen


@contextlib.contextmanager
def asleep(pid: int) -> Iterator[None]:
    """The process does nothing meanwhile; shorter than its session with Kafka and its leases."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
