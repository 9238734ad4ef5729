"""Producing events to Kafka while the consumer is suspended, so that it then finds all of them."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec
from benchmarks import measuring
from benchmarks.order_events import Row, kafka_records
from benchmarks.raw_producer import Measurement
from local_stack.kafka import Kafka


def produce(broker: Kafka, topic: str, rows: Sequence[Row], *, module: str = "benchmarks.raw_producer") -> Measurement:
    """Produce the events with the raw producer, in a process of its own."""
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(msgspec.msgpack.encode(list(kafka_records(rows))))
        arguments = (broker.bootstrap, topic, file.name, str(broker.pid))
        measurement: Measurement = json.loads(measuring.python("-m", module, *arguments))
        return measurement


@contextlib.contextmanager
def suspended(pid: int) -> Iterator[None]:
    """Suspend the process in the block, which must be shorter than its session with Kafka and its leases."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
