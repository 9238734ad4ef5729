"""The consumer of invoicing: one invoice per shipped order, also with repeats and poison records."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from common.database.transactions import Pool
from common.messaging.incoming.inbox import Inbox
from common.messaging.incoming.subscriber import Subscriber
from invoicing.consumer import event_handlers
from support.example.invoices import SELLER, invoice_numbers, invoice_of, job_in_state
from support.example.order_events import order_shipped
from support.example.refund_events import KafkaRecord, kafka_record
from support.kafka.topics import MakeTopic
from support.waiting import eventually


@pytest.fixture
def inbox(pool: Pool) -> Inbox:
    return Inbox(pool, "invoicing", event_handlers(SELLER))


async def counts(pool: Pool) -> tuple[int, int, int, int]:
    """Numbers of invoices, jobs, audit rows and poison records."""
    tables = ("invoices", "jobs", "audit", "poison")
    numbers = [await pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608
    return numbers[0], numbers[1], numbers[2], numbers[3]


async def test_the_same_event_twice_makes_one_invoice(inbox: Inbox, pool: Pool) -> None:
    record = kafka_record("order.shipped", order_shipped())
    await inbox.process([record, replace(record, offset=record.offset + 1000)])
    await inbox.process([replace(record, offset=record.offset + 2000)])
    assert await counts(pool) == (1, 1, 1, 0)


async def test_the_same_order_under_a_new_event_id_is_not_invoiced_again(inbox: Inbox, pool: Pool) -> None:
    """This happens after a restore, or when the inbox was purged."""
    order = order_shipped()
    await inbox.process([kafka_record("order.shipped", order), kafka_record("order.shipped", order)])
    await pool.execute("DELETE FROM inbox")
    await inbox.process([kafka_record("order.shipped", order)])
    assert await counts(pool) == (1, 1, 1, 0)


ORDER = order_shipped()
BAD: dict[str, Callable[[], KafkaRecord]] = {
    "not JSON": lambda: kafka_record("order.shipped", b"{cut"),
    "no value": lambda: replace(kafka_record("order.shipped", ORDER), value=None),
    "no headers": lambda: replace(kafka_record("order.shipped", ORDER), headers=[]),
    "a field is missing": lambda: kafka_record("order.shipped", {"order_id": str(uuid4())}),
    "amounts that do not add up": lambda: kafka_record("order.shipped", order_shipped(total_amount="1.00")),
    "no such currency": lambda: kafka_record("order.shipped", order_shipped(currency="XYZ")),
}


@pytest.mark.parametrize("make_bad", BAD.values(), ids=BAD.keys())
async def test_an_invalid_record_is_stored_as_poison_uses_no_number_and_delays_no_others(
    inbox: Inbox, pool: Pool, make_bad: Callable[[], KafkaRecord]
) -> None:
    bad, orders = make_bad(), [order_shipped(), order_shipped()]
    await inbox.process([kafka_record("order.shipped", orders[0]), bad, kafka_record("order.shipped", orders[1])])
    assert await counts(pool) == (2, 2, 2, 1)
    assert await pool.fetchval("SELECT value FROM poison") == bad.value
    assert [(await invoice_of(pool, order)).number for order in orders] == await invoice_numbers(pool)
    assert await pool.fetchval("SELECT last_position FROM number_series") == 2


@pytest.mark.parametrize("event_type", ["order.created", "order.paid", "order.delivered", "return.completed"])
async def test_other_events_are_ignored(inbox: Inbox, pool: Pool, event_type: str) -> None:
    await inbox.process([kafka_record(event_type, order_shipped())])
    assert await counts(pool) == (0, 0, 0, 0)


async def test_a_new_order_on_kafka_becomes_an_invoice_and_its_redelivery_has_no_effect(
    pool: Pool, kafka: str, make_topic: MakeTopic
) -> None:
    topic = await make_topic()
    orders = [order_shipped() for _ in range(30)]
    records = [kafka_record("order.shipped", order) for order in orders]
    bad = [kafka_record("order.shipped", b"{cut"), kafka_record("order.paid", order_shipped())]
    subscriber = Subscriber(pool, kafka, group="invoicing", topics=[topic], handlers=event_handlers(SELLER))
    stopping = asyncio.Event()
    running = asyncio.create_task(subscriber.run(stopping))
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for each in (*records[:15], *bad, *records, *records[15:]):
            await producer.send(topic, each.value, each.key, headers=each.headers)
        await producer.flush()

        async def all_accepted() -> bool:
            return await counts(pool) == (30, 30, 30, 1)

        await eventually(all_accepted)
        last = kafka_record("order.shipped", order_shipped())
        await producer.send_and_wait(topic, last.value, last.key, headers=last.headers)

    async def last_accepted() -> bool:
        return (await counts(pool))[0] == 31

    await eventually(last_accepted)
    stopping.set()
    await asyncio.wait_for(running, 15)
    assert [number[-6:] for number in await invoice_numbers(pool)] == [f"{position:06d}" for position in range(1, 32)]
    await job_in_state(pool, orders[0], "ready")
