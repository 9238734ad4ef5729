"""What must hold after a piece of the night's work: nothing lost, doubled, out of sequence, or with a gap."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer
from benchmarks.life_costs import Databases
from chaos.kill_runs import TIMEOUT_SECONDS, expect_no_discrepancy
from chaos.night_clients import is_cancelled, is_returned
from demo.client import Shop, Unexpected
from demo.kafka_reader import TOPICS
from local_stack.stack_json import StackDescription
from support.waiting import eventually

# All work of a piece is done, and retried after a kill, within this time.
QUIET_SECONDS = 300
_COUNTS = {
    "orders": {
        "orders": "SELECT count(*) FROM orders",
        "orders with an invoice": "SELECT count(*) FROM order_invoices",
        "cancelled orders with a refund": "SELECT count(*) FROM orders WHERE refund_status = 'SUCCEEDED'"
        " AND status = 'CANCELLED'",
    },
    "returns": {"returns with a refund": "SELECT count(*) FROM returns WHERE refund_status = 'SUCCEEDED'"},
    "invoicing": {
        "invoices sent": "SELECT count(*) FROM invoices WHERE status = 'ISSUED' AND mail_status = 'SENT'",
        "invoice numbers": "SELECT count(DISTINCT number) FROM invoices",
        "last invoice number": "SELECT sum(last_position) FROM number_series WHERE kind = 'INV'",
    },
    "refunds": {
        "refunds": "SELECT count(*) FROM refunds",
        "refunds that succeeded": "SELECT count(*) FROM refunds WHERE status = 'SUCCEEDED'",
    },
}
_LEFT = """
    SELECT (SELECT count(*) FROM outbox_pending) + (SELECT count(*) FROM poison WHERE state = 'kept')
        + (SELECT count(*) FROM jobs WHERE state = 'dead')
"""


async def check(stack: StackDescription, folder: Path, lives: int) -> str:
    """Of lives 1 to `lives`; a line about what was seen. Raises `Unexpected`."""
    returned, cancelled = _count(is_returned, lives), _count(is_cancelled, lives)
    shipped, refunds = lives - cancelled, returned + cancelled
    expected = {
        "orders": lives,
        "orders with an invoice": shipped,
        "cancelled orders with a refund": cancelled,
        "returns with a refund": returned,
        "invoices sent": shipped,
        "invoice numbers": shipped,
        "last invoice number": shipped,
        "refunds": refunds,
        "refunds that succeeded": refunds,
    }
    connections = {name: await asyncpg.connect(dsn) for name, dsn in stack["databases"].items()}
    try:
        await eventually(Databases(connections).is_quiet, within=QUIET_SECONDS, pause=1)
        counts = {
            name: await connections[service].fetchval(query)
            for service, queries in _COUNTS.items()
            for name, query in queries.items()
        }
        left = {name: each for name, it in connections.items() if (each := await it.fetchval(_LEFT))}
    finally:
        for each in connections.values():
            await each.close()
    if counts != expected or left:
        wrong = {name: (counts[name], expected[name]) for name in expected if counts[name] != expected[name]}
        raise Unexpected(f"counted and expected: {wrong}; work that is left: {left}")
    mails = await _check_outside(stack, folder, shipped, refunds)
    events = await asyncio.wait_for(_check_sequences(stack["kafka"]["bootstrap"]), 600)
    return f"{events} events in sequence, {mails - shipped - refunds} e-mails sent again"


async def _check_outside(stack: StackDescription, folder: Path, shipped: int, refunds: int) -> int:
    """The provider's ledger, the mailbox and the findings; the number of e-mails."""
    async with httpx.AsyncClient(timeout=60) as client:
        made = (await client.get(f"{stack['payment_sandbox']['url']}/sandbox/ledger")).json()["refunds"]
    if len(made) != refunds or len({each["payment_intent"] for each in made}) != refunds:
        raise Unexpected(f"the provider made {len(made)} refunds, {refunds} are right")
    mails = sum(each.suffix == ".eml" for each in (folder / "sandbox" / "mailbox" / "messages").iterdir())
    if mails < shipped + refunds:
        raise Unexpected(f"{mails} e-mails were sent, {shipped + refunds} are right")
    shop = Shop(stack, patience=TIMEOUT_SECONDS)
    try:
        await expect_no_discrepancy(shop, stack)
        book = await shop.expect(200, "ops", "GET", "/refunds/book", service="refunds")
    finally:
        await shop.close()
    if not book["is_zero"]:
        raise Unexpected(f"the trial balance is not 0: {book['accounts']}")
    return mails


async def _check_sequences(bootstrap: str) -> int:
    """The number of events, all of whose keys count from 1; one that was sent again is not counted."""
    consumer = AIOKafkaConsumer(*TOPICS, bootstrap_servers=bootstrap.split(","), auto_offset_reset="earliest")
    last: dict[tuple[str, bytes], int] = {}
    await consumer.start()
    try:
        while {partition.topic for partition in consumer.assignment()} != set(TOPICS):
            await consumer.getmany(timeout_ms=50)  # assigned when the metadata has come
        ends: Mapping[object, int] = await consumer.end_offsets(consumer.assignment())
        left = {partition for partition, end in ends.items() if end > 0}
        while left:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                for record in batch:
                    key, sequence = (record.topic, record.key), int(dict(record.headers)["ce_sequence"])
                    before = last.get(key, 0)
                    if sequence > before + 1:
                        raise Unexpected(f"{key}: {sequence} follows {before}")
                    last[key] = max(before, sequence)
            left = {partition for partition in left if await consumer.position(partition) < ends[partition]}
    finally:
        await consumer.stop()
    return sum(last.values())


def _count(is_one: Callable[[int], bool], lives: int) -> int:
    return sum(map(is_one, range(1, lives + 1)))
