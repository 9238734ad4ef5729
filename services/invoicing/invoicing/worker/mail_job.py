"""Sends an issued invoice to the buyer; it stays issued, whatever becomes of the message."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog
from common import failpoints
from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.jobs import dead_letters, queue
from common.jobs.outside_work import once
from common.jobs.queue import Job, Schedule
from common.jobs.worker import JobHandler
from common.mail.mailer import Mailer
from common.mail.message import Attachment, Mail
from prometheus_client import Counter

from invoicing import repository
from invoicing.document_store import DocumentStore
from invoicing.domain import Snapshot, display_amount
from invoicing.use_cases import SERVICE, fail_mail, get_invoice, record_mail
from invoicing.worker.document_job import acting

# The whole schedule, also after a refusal that claims to be for good: such answers often come from a mail server
# in passing trouble, and a refused message has no effect that could be repeated.
RETRIES = Schedule((1, 2, 4))

_log = structlog.get_logger(__name__)
_mails = Counter("invoice_mails_total", "E-mails that carry invoices, by how they ended.", ["outcome"])


class MailJob:
    def __init__(self, pool: Pool, store: DocumentStore, mailer: Mailer) -> None:
        self._pool = pool
        self._store = store
        self._mailer = mailer

    @property
    def handler(self) -> JobHandler:
        return JobHandler(self.run, self.on_dead, RETRIES)

    async def run(self, job: Job) -> None:
        """A crash after sending sends the same message again; its Message-ID lets mail programs tell."""
        invoice_id = UUID(job.payload["invoice_id"])
        await once(self._pool, job, lambda: self._send(invoice_id))
        async with transaction(self._pool) as connection:
            await record_mail(connection, invoice_id, acting(job))
            await queue.complete(connection, job)
        _mails.labels("sent").inc()

    async def _send(self, invoice_id: UUID) -> Mapping[str, Any]:
        async with reading(self._pool) as connection:
            invoice = await get_invoice(connection, invoice_id)
            snapshot = await repository.find_snapshot(connection, invoice_id)
        if invoice.document is None:
            raise ValueError(f"{invoice.number} has no document to send")
        content = await self._store.get(invoice_id, invoice.document)
        await self._mailer.send(invoice_mail(invoice_id, snapshot, content))
        failpoints.hit("invoice.after_mail")
        return {"sent": True}

    async def on_dead(self, connection: Connection, job: Job, error: str) -> None:
        invoice = await fail_mail(connection, UUID(job.payload["invoice_id"]), error, job.attempt, acting(job))
        await dead_letters.append_dead_job(connection, SERVICE, str(invoice.order_id), job, error)
        _mails.labels("failed").inc()
        _log.critical(
            "an invoice could not be sent by e-mail",
            invoice_number=invoice.number,
            order_id=str(invoice.order_id),
            job_id=str(job.id),
            attempts=job.attempt,
            error=error,
        )


def invoice_mail(invoice_id: UUID, snapshot: Snapshot, document: bytes) -> Mail:
    """Raises `ValueError` for a buyer without an address."""
    buyer, brand = snapshot.buyer, snapshot.seller.brand
    if buyer.email is None:
        raise ValueError(f"{snapshot.invoice_number} has nobody to be sent to")
    total = f"{display_amount(snapshot.total_amount, snapshot.currency)} {snapshot.currency}"
    return Mail(
        to=buyer.email,
        subject=f"Your invoice {snapshot.invoice_number} for order {snapshot.order_number}",
        text=(
            f"Dear {buyer.name or 'customer'},\n\n"
            f"your order {snapshot.order_number} is on its way. Its invoice {snapshot.invoice_number}\n"
            f"over {total} is attached; it is already paid, and nothing is due.\n\n"
            f"Thank you for buying from the people who make things.\n\n{brand}\n"
        ),
        message_key=f"invoice-{invoice_id}",
        attachments=[Attachment(f"{snapshot.invoice_number}.pdf", document)],
    )
