"""The rate from job to stored PDF, compared with bare rendering (d) of the same invoices, and from event to e-mail."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import UUID

import msgspec
from benchmarks import bare_rendering, measuring, subjects
from benchmarks.measuring import cpu_seconds
from benchmarks.order_events import new_order_events
from benchmarks.produced import produce, suspended
from benchmarks.results import Result
from common.database.transactions import open_pool
from local_stack.stack import Stack, StackProcess
from orders.events import ORDERS_TOPIC
from support.example.invoices import consume
from support.example.order_events import order_shipped
from support.waiting import eventually

INVOICES = 100
ROUNDS = 5
_ALL_DONE = "SELECT NOT EXISTS (SELECT FROM jobs WHERE state IN ('ready', 'running'))"


@dataclass(frozen=True, slots=True)
class Round:
    """Invoices a second, and processor time of one in microseconds; that of the worker includes its children."""

    worker_rate: float
    worker_us: float
    database_us: float
    bare_rate: float
    bare_us: float


def measure() -> Iterator[Result]:
    with (
        subjects.stack("invoicing") as stack,
        _mailbox(stack) as mailbox,
        subjects.running(stack, "invoicing", "worker") as worker,
    ):
        yield from _compare([asyncio.run(_documents(stack, worker)) for _ in range(1 + ROUNDS)][1:])
        with subjects.running(stack, "invoicing", "consumer") as consumer:
            rates = [asyncio.run(_mails(stack, consumer, mailbox)) for _ in range(1 + ROUNDS)][1:]
            yield Result.absolute("shipped orders to invoices e-mailed", "1/s", rates, is_ceiling=False)


def _compare(rounds: list[Round]) -> Iterator[Result]:
    yield Result.compared(
        "job row to stored PDF, per core",
        "1/s",
        [1e6 / each.worker_us for each in rounds],
        [1e6 / each.bare_us for each in rounds],
        to="bare rendering (d)",
        floor=0.6,
        aim=0.8,
    )
    yield Result.compared(
        "job row to stored PDF, one rendering process",
        "1/s",
        [each.worker_rate for each in rounds],
        [each.bare_rate for each in rounds],
        to="bare rendering (d)",
    )
    yield Result.absolute("bare rendering (d)", "1/s", [each.bare_rate for each in rounds], is_ceiling=False)
    yield Result.absolute("job row to stored PDF, processor", "µs", [each.worker_us for each in rounds])
    yield Result.absolute("job row to stored PDF, processor of database", "µs", [each.database_us for each in rounds])


async def _documents(stack: Stack, worker: StackProcess) -> Round:
    """The worker and bare rendering, in either order, render the invoices of the same orders without e-mail address."""
    pid, dsn = worker.server.pid, stack.postgres.dsn("invoicing", "invoicing")
    pool = await open_pool(dsn, size=2, application_name="benchmark")
    bare = None
    try:
        with suspended(pid):
            orders = [order_shipped(customer_email=None) for _ in range(INVOICES)]
            await consume(pool, *orders)
            ids = [UUID(each["order_id"]) for each in orders]
            if random.random() < 0.5:
                bare = await _render_bare(pool, ids)
            before = cpu_seconds(pid), cpu_seconds(stack.postgres.pid)
            start = time.perf_counter()
        await eventually(lambda: pool.fetchval(_ALL_DONE), within=60, pause=0.01)
        seconds = time.perf_counter() - start
        cpu_time = cpu_seconds(pid) - before[0], cpu_seconds(stack.postgres.pid) - before[1]
        bare = bare or await _render_bare(pool, ids)
        rendered = await pool.fetch(
            "SELECT document_sha256 FROM invoices WHERE order_id = ANY ($1) ORDER BY number", ids
        )
        if [row["document_sha256"] for row in rendered] != bare["digests"]:
            raise SystemExit("the worker's documents are not those of bare rendering")
    finally:
        await pool.close()
    return Round(
        worker_rate=INVOICES / seconds,
        worker_us=cpu_time[0] / INVOICES * 1e6,
        database_us=cpu_time[1] / INVOICES * 1e6,
        bare_rate=INVOICES / bare["seconds"],
        bare_us=bare["processor_seconds"] / INVOICES * 1e6,
    )


async def _render_bare(pool: Any, order_ids: list[UUID]) -> bare_rendering.Measurement:
    """Render the invoices of these orders in a process of its own."""
    rows = await pool.fetch(
        "SELECT snapshot FROM invoice_snapshots JOIN invoices ON id = invoice_id WHERE order_id = ANY ($1)"
        " ORDER BY number",
        order_ids,
    )
    with NamedTemporaryFile() as file:
        file.write(msgspec.json.encode([row["snapshot"] for row in rows]))
        file.flush()
        measurement: bare_rendering.Measurement = json.loads(
            measuring.python("-m", "benchmarks.bare_rendering", file.name)
        )
        return measurement


@contextlib.contextmanager
def _mailbox(stack: Stack) -> Iterator[Path]:
    """Run the mail server; its folder has a file for each message."""
    mailbox = next(each for each in stack.sandbox if each.role == "mailbox")
    with mailbox.server:
        yield stack.folder / "sandbox" / "mailbox" / "messages"


async def _mails(stack: Stack, consumer: StackProcess, mailbox: Path) -> float:
    """Measure from the resumption of the consumer, with all events in Kafka, until the last message is on disk."""
    expected = _messages(mailbox) + INVOICES
    with suspended(consumer.server.pid):
        produce(stack.kafka, ORDERS_TOPIC, new_order_events(INVOICES, ("order.shipped",)))
        start = time.perf_counter()

    async def all_sent() -> bool:
        return _messages(mailbox) == expected

    await eventually(all_sent, within=60)
    return INVOICES / (time.perf_counter() - start)


def _messages(mailbox: Path) -> int:
    return len(list(mailbox.glob("[0-9a-f]*.eml")))
