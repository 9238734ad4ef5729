"""The roles of invoicing together: an event from Kafka becomes a PDF and an e-mail."""

import asyncio
from pathlib import Path
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from common.database.transactions import Pool
from common.health import Health
from common.messaging.kafka.topics import create_topics
from common.running.role_components import role_components
from common.service import Runtime
from invoicing.app import SERVICE
from invoicing.events import ORDERS_TOPIC
from invoicing.settings import InvoicingSettings
from invoicing.use_cases.jobs import MAIL_JOB
from support.example.invoices import invoice_of, job_in_state
from support.example.order_events import order_shipped
from support.example.refund_events import kafka_record
from support.mail.mailbox import Mailbox
from support.postgres.databases import Database


async def test_a_shipped_order_on_kafka_becomes_a_pdf_and_an_email(
    pool: Pool, database: Database, kafka: str, documents: Path, mailbox: Mailbox
) -> None:
    settings = InvoicingSettings(
        database_url=database.dsn,
        kafka_bootstrap=kafka,
        document_folder=documents,
        smtp_host=mailbox.host,
        smtp_port=mailbox.port,
        seller_name="ArtiCurated Test Ltd",
    )
    await create_topics(kafka, [ORDERS_TOPIC])
    runtime = Runtime(SERVICE, settings, pool, Health(SERVICE.name, settings))
    stopping = asyncio.Event()
    components = [each for role in ("consumer", "worker") for each in role_components(role, runtime)]
    running = asyncio.gather(*(component.run(stopping) for component in components))
    order = order_shipped(customer_email=f"ada-{uuid4().hex[:12]}@example.org")
    record = kafka_record("order.shipped", order)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(ORDERS_TOPIC, record.value, record.key, headers=record.headers)

    await job_in_state(pool, order, "done", MAIL_JOB)
    stopping.set()
    await asyncio.wait_for(running, 15)
    invoice = await invoice_of(pool, order)
    [mail] = await mailbox.messages_to(order["customer_email"])
    [attachment] = mail.iter_attachments()
    assert attachment.get_content() == await asyncio.to_thread((documents / f"{invoice.id}.pdf").read_bytes)
    seller = await pool.fetchval("SELECT snapshot -> 'seller' FROM invoice_snapshots WHERE invoice_id = $1", invoice.id)
    assert seller["name"] == "ArtiCurated Test Ltd"
