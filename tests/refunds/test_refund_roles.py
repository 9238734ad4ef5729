"""The roles of refunds together: an event from Kafka becomes a refund and its result event."""

import asyncio
import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from common.database.transactions import Pool
from common.health import Health
from common.messaging.kafka.topics import create_topics
from common.running.role_components import role_components
from common.service import Runtime
from pydantic import SecretStr
from refunds.app import SERVICE
from refunds.settings import RefundsSettings
from support.example.refund_events import KafkaRecord, kafka_record, order_cancelled, return_completed
from support.kafka.topics import Topics
from support.mail.mailbox import Mailbox, running_mailbox
from support.payments.sandbox import PaymentSandbox
from support.postgres.databases import Database
from support.waiting import eventually


@pytest.fixture
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with running_mailbox(tmp_path_factory.mktemp("mailbox")) as running:
        yield running


async def produce(kafka: str, *records: KafkaRecord) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for each in records:
            await producer.send_and_wait(each.topic, each.value, each.key, headers=each.headers)


async def test_events_on_kafka_are_refunded_published_and_mailed_once(
    pool: Pool, database: Database, kafka: str, sandbox: PaymentSandbox, mailbox: Mailbox
) -> None:
    settings = RefundsSettings(
        database_url=database.dsn,
        kafka_bootstrap=kafka,
        payment_gateway_url=sandbox.url,
        payment_gateway_key=SecretStr("sk_test_1"),
        smtp_host=mailbox.host,
        smtp_port=mailbox.port,
    )
    await create_topics(kafka, SERVICE.topics)
    runtime = Runtime(SERVICE, settings, pool, Health(SERVICE.name, settings))
    address = f"zoe-{uuid4().hex}@example.com"
    completed, cancelled = return_completed(customer_email=address), order_cancelled(customer_email=None)
    first = kafka_record("return.completed", completed)
    unreadable = kafka_record("return.completed", b"{cut", key=completed["order_id"])
    await produce(kafka, first, first, unreadable, kafka_record("return.completed", completed))
    await produce(kafka, kafka_record("order.cancelled", cancelled))

    stopping = asyncio.Event()
    components = [each for role in ("consumer", "worker", "relay") for each in role_components(role, runtime)]
    running = asyncio.gather(*(each.run(stopping) for each in components))

    async def result_events() -> dict[str, dict[str, object]] | None:
        keys = {completed["order_id"].encode(), cancelled["order_id"].encode()}
        records = [each for each in await Topics(kafka).records("articurated.refunds") if each.key in keys]
        events = {each.key.decode(): json.loads(each.value) for each in records}
        return events if len(events) == 2 and await mailbox.messages_to(address) else None

    events = await eventually(result_events, within=30)
    stopping.set()
    await asyncio.wait_for(running, 20)

    assert events is not None
    for data, cause in ((completed, "RETURN_COMPLETED"), (cancelled, "ORDER_CANCELLED")):
        (provider_refund,) = await sandbox.refunds(data["payment_reference"])
        event = events[data["order_id"]]
        assert (event["cause"], event["status"], event["transaction_id"]) == (cause, "SUCCEEDED", provider_refund["id"])
    assert len(await mailbox.messages_to(address)) == 1
    assert await pool.fetchval("SELECT count(*) FROM poison WHERE key = $1", completed["order_id"].encode()) == 1
    assert await pool.fetchval("SELECT count(*) FROM refunds WHERE order_id = $1", completed["order_id"]) == 1
