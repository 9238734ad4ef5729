"""The producer of confluent-kafka compared with aiokafka's: the same events, in alternating rounds.

pip install confluent-kafka; cd tests; python -m benchmarks producers
"""

import asyncio
from collections.abc import Iterator

from benchmarks import measuring, order_events, subjects
from benchmarks.order_events import PARTITIONS
from benchmarks.produced import produce
from benchmarks.raw_producer import Measurement
from benchmarks.results import Result
from common.messaging.kafka.topics import create_topics

ORDERS_PER_ROUND = 12_000
ROUNDS = 7
AIOKAFKA, CONFLUENT = "aiokafka", "confluent-kafka"
MODULES = {AIOKAFKA: "benchmarks.raw_producer", CONFLUENT: "benchmarks.raw_confluent_producer"}


def measure() -> Iterator[Result]:
    rows = order_events.new_order_events(ORDERS_PER_ROUND)
    with subjects.stack("orders") as stack:
        asyncio.run(create_topics(stack.kafka.bootstrap, MODULES, partitions=PARTITIONS))

        def run(name: str) -> Measurement:
            return produce(stack.kafka, name, rows, module=MODULES[name])

        runs = measuring.interleaved(list(MODULES), run, rounds=ROUNDS)
    rates = {name: [len(rows) / each["seconds"] for each in runs[name]] for name in MODULES}
    yield Result.compared(CONFLUENT, "events/s", rates[CONFLUENT], rates[AIOKAFKA], to=AIOKAFKA, floor=1.5)
    for part in ("processor_seconds", "broker_seconds"):
        costs = {name: [each[part] / len(rows) * 1e6 for each in runs[name]] for name in MODULES}
        name = f"{CONFLUENT}, {part.partition('_')[0]}"
        yield Result.compared(name, "µs/event", costs[CONFLUENT], costs[AIOKAFKA], to=AIOKAFKA, is_ceiling=True)
