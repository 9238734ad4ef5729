"""Ada's invoice: consumed events, and the resulting rows and jobs."""

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from common.database.statements import Connection
from common.database.transactions import Pool, transaction
from common.messaging.envelope import ReceivedEvent
from common.messaging.incoming.records import Incoming
from invoicing.consumer import event_handlers
from invoicing.document_store.port import DocumentStore
from invoicing.domain.invoice import Invoice, InvoiceStatus, MailStatus
from invoicing.domain.snapshot import Address, Seller
from invoicing.events import OrderShippedView
from invoicing.invoice_pdf.renderer import Renderer
from invoicing.use_cases.jobs import DOCUMENT_JOB
from invoicing.worker.document_job import DocumentJob
from invoicing.worker.mail_job import MailJob
from support.events.traceparent import TRACEPARENT
from support.example.ada import ADA, NET, ORDER_NUMBER, TAX, TOTAL
from support.jobs import handlers as jobs
from support.jobs.rows import JobRow, find_job, wait_for_state
from support.mail.mailbox import Mailbox
from support.mail.sending import mailer

SELLER = Seller(
    id="articurated",
    brand="ArtiCurated",
    name="ArtiCurated SARL",
    address=Address("12 Rue des Potiers", "Limoges", "Nouvelle-Aquitaine", "87000", "France"),
    vat_id="FR40303265045",
    email="billing@articurated.example",
)
# A minute of every schedule, in seconds.
RETRY_UNIT = 0.02


def incoming_event(order: dict[str, Any], event_id: str | None = None) -> Incoming[OrderShippedView]:
    """The event as the subscriber passes it to the handler."""
    data = json.dumps(order).encode()
    event = ReceivedEvent(
        id=event_id or str(uuid4()),
        type="order.shipped",
        source="/articurated/orders",
        subject=order["order_id"],
        key=order["order_id"],
        sequence=4,
        epoch=1,
        time=datetime.now(UTC),
        traceparent=TRACEPARENT,
        causation_id=None,
        data=data,
    )
    return Incoming(event, OrderShippedView.model_validate_json(data))


async def consume_in(connection: Connection, *orders: dict[str, Any], seller: Seller = SELLER) -> None:
    await event_handlers(seller)["order.shipped"].process(connection, [incoming_event(order) for order in orders])


async def consume(pool: Pool, *orders: dict[str, Any], seller: Seller = SELLER) -> None:
    """Process the orders' events as one batch."""
    async with transaction(pool) as connection:
        await consume_in(connection, *orders, seller=seller)


def a_pending_invoice(created_at: datetime) -> Invoice:
    """Ada's invoice when it is accepted, with a new id each time."""
    return Invoice(
        seller=SELLER.id,
        id=uuid4(),
        number="INV-2026-000001",
        order_id=uuid4(),
        order_number=ORDER_NUMBER,
        customer_id=ADA,
        currency="EUR",
        net_amount=Decimal(NET),
        tax_amount=Decimal(TAX),
        total_amount=Decimal(TOTAL),
        status=InvoiceStatus.PENDING,
        mail_status=MailStatus.PENDING,
        created_at=created_at,
    )


@dataclass(frozen=True)
class InvoiceRow:
    id: UUID
    number: str
    status: str
    mail_status: str
    document_sha256: str | None
    failed_step: str | None
    attempts: int | None


async def invoice_of(pool: Pool, order: dict[str, Any]) -> InvoiceRow:
    columns = ", ".join(InvoiceRow.__dataclass_fields__)
    rows = await pool.fetch(f"SELECT {columns} FROM invoices WHERE order_id = $1", UUID(order["order_id"]))  # noqa: S608
    assert len(rows) == 1, f"{len(rows)} invoices for one order"
    return InvoiceRow(**rows[0])


async def invoice_numbers(pool: Pool) -> list[str]:
    return [row["number"] for row in await pool.fetch("SELECT number FROM invoices ORDER BY number")]


async def job_of(pool: Pool, order: dict[str, Any], kind: str = DOCUMENT_JOB) -> JobRow | None:
    return await find_job(pool, kind, order["order_id"])


async def job_in_state(pool: Pool, order: dict[str, Any], state: str, kind: str = DOCUMENT_JOB) -> JobRow:
    """Wait until the order's job of this kind is in the state."""
    return await wait_for_state(pool, kind, order["order_id"], state)


async def invoice_events(
    pool: Pool, order: dict[str, Any], topic: str = "articurated.invoices"
) -> list[tuple[str, Any]]:
    """Type and data of the order's events in the outbox, oldest first."""
    rows = await pool.fetch(
        "SELECT type, payload FROM outbox WHERE topic = $1 AND key = $2 ORDER BY sequence", topic, order["order_id"]
    )
    return [(row["type"], json.loads(row["payload"])) for row in rows]


def running_worker(
    pool: Pool, renderer: Renderer, store: DocumentStore, mailbox: Mailbox
) -> AbstractAsyncContextManager[object]:
    """The service's worker, with retry units of milliseconds."""
    sender = "ArtiCurated <billing@articurated.example>"
    mail_job = MailJob(store, mailer(mailbox.port, sender, mailbox.host, timeout_seconds=5))
    handlers = (DocumentJob(renderer, store), mail_job)
    return jobs.running_worker(pool, *handlers, retry_unit_seconds=RETRY_UNIT)
