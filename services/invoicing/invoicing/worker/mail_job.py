"""The job that sends an issued invoice to the buyer. The invoice stays issued, even if the e-mail cannot be sent."""

from uuid import UUID

from common.database.statements import Connection
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job
from common.mail.mailer import Mailer
from common.mail.message import Mail
from common.money import format_amount
from common.telemetry.tracing import outside_call
from prometheus_client import Counter

from invoicing.document_store.port import DocumentStore
from invoicing.domain.invoice import Step
from invoicing.domain.snapshot import Snapshot
from invoicing.repository import reading
from invoicing.use_cases.commands import record_failure, record_mail
from invoicing.use_cases.jobs import MAIL_JOB, invoice_id, subject
from invoicing.use_cases.queries import get_invoice


class MailJob(JobHandler):
    kind = MAIL_JOB
    # Retried even when the mail server refuses permanently (5xx): such answers often come from a temporary fault.
    retry_delays = (1, 2, 4)
    failpoint = "invoice.after_mail"
    counter = Counter("invoice_mails_total", "E-mails that carry invoices, by how they ended.", ["outcome"])
    success = "sent"
    failure_message = "the e-mail with an invoice could not be sent"

    def __init__(self, store: DocumentStore, mailer: Mailer) -> None:
        self._store = store
        self._mailer = mailer

    async def work(self, job: Job) -> dict[str, object]:
        """After a crash the same message may be sent again, with the same Message-ID."""
        of_invoice = invoice_id(job)
        async with job.reading() as connection:
            invoice = await get_invoice(connection, of_invoice)
            snapshot = await reading.find_snapshot(connection, of_invoice)
        if invoice.document is None:
            raise ValueError(f"{invoice.number} has no document to send")
        with outside_call("document_store.get", {"articurated.document.size_bytes": invoice.document.size_bytes}):
            content = await self._store.get(of_invoice, invoice.document)
        await self._mailer.send(invoice_mail(of_invoice, snapshot, content))
        return {"sent": True}

    async def on_success(self, connection: Connection, job: Job) -> None:
        await record_mail(connection, invoice_id(job), job.actor)

    async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
        return subject(await record_failure(connection, invoice_id(job), Step.MAIL, error, job.attempt, job.actor))


def invoice_mail(invoice_id: UUID, snapshot: Snapshot, document: bytes) -> Mail:
    """Raises `ValueError` for a buyer without an e-mail address."""
    buyer, brand = snapshot.buyer, snapshot.seller.brand
    if buyer.email is None:
        raise ValueError(f"{snapshot.invoice_number} has no buyer with an e-mail address")
    total = f"{format_amount(snapshot.total_amount, snapshot.currency)} {snapshot.currency}"
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
        documents={f"{snapshot.invoice_number}.pdf": document},
    )
