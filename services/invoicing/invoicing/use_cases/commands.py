"""The steps of an invoice after it was opened: it is issued, then e-mailed; either step may fail permanently."""

from uuid import UUID

from common.audit.actor import Actor
from common.database.statements import Connection
from common.jobs import queue

from invoicing.domain.invoice import Document, Invoice, MailStatus, Step
from invoicing.events import FAILED, ISSUED, new_event
from invoicing.repository import writing
from invoicing.use_cases.jobs import MAIL_JOB, new_job


async def issue_invoice(connection: Connection, invoice_id: UUID, document: Document, actor: Actor) -> Invoice:
    """The document is stored: write the event, and enqueue the e-mail if there is an address."""
    locked = await writing.lock(connection, invoice_id)
    invoice = locked.value.issue(document, locked.now)
    await writing.save(connection, locked, invoice, actor, _details(invoice), new_event(ISSUED, invoice, actor))
    if invoice.mail_status is MailStatus.PENDING:
        await queue.enqueue(connection, new_job(MAIL_JOB, invoice, actor))
    return invoice


async def record_mail(connection: Connection, invoice_id: UUID, actor: Actor) -> None:
    """The mail server accepted the e-mail."""
    locked = await writing.lock(connection, invoice_id)
    invoice = locked.value.record_mail()
    await writing.save(connection, locked, invoice, actor, _details(invoice))


async def record_failure(
    connection: Connection, invoice_id: UUID, step: Step, error: str, attempts: int, actor: Actor
) -> Invoice:
    """The step failed permanently. If the document could not be made, the invoice fails and keeps its number; if the
    e-mail could not be sent, the invoice stays issued."""
    locked = await writing.lock(connection, invoice_id)
    fail_step = locked.value.fail_document if step is Step.DOCUMENT else locked.value.fail_mail
    invoice = fail_step(error, attempts)
    await writing.save(connection, locked, invoice, actor, _details(invoice), new_event(FAILED, invoice, actor))
    return invoice


def _details(invoice: Invoice) -> dict[str, object]:
    failure = invoice.failure
    return {
        "mail_status": invoice.mail_status.value,
        "failed_step": failure and failure.step.value,
        "error": failure and failure.error,
    }
