"""What becomes of an accepted invoice: issued, sent, or failed at either."""

from collections.abc import Callable
from uuid import UUID

from common.audit.actor import Actor
from common.audit.entries import AuditEntry
from common.database.statements import Connection
from common.jobs import queue

from invoicing import repository
from invoicing.domain import Document, Invoice, MailStatus
from invoicing.events import FAILED, ISSUED, invoice_failed, invoice_issued, new_event
from invoicing.repository import LockedInvoice
from invoicing.use_cases.jobs import MAIL_JOB, new_job


async def issue_invoice(connection: Connection, invoice_id: UUID, document: Document, actor: Actor) -> Invoice:
    """The document is stored: the invoice counts from now on, and goes out by e-mail when there is an address."""
    locked = await repository.lock(connection, invoice_id)
    issued = locked.invoice.issue(document, locked.now)
    event = new_event(ISSUED, invoice_issued(issued), actor)
    await repository.save(connection, locked, issued, _audit_entry(locked, issued, actor), event)
    if issued.mail_status is MailStatus.PENDING:
        await queue.enqueue(connection, new_job(MAIL_JOB, issued, actor))
    return issued


async def record_mail(connection: Connection, invoice_id: UUID, actor: Actor) -> None:
    """The mail server took the e-mail."""
    locked = await repository.lock(connection, invoice_id)
    mailed = locked.invoice.record_mail()
    await repository.save(connection, locked, mailed, _audit_entry(locked, mailed, actor))


async def fail_document(connection: Connection, invoice_id: UUID, error: str, attempts: int, actor: Actor) -> Invoice:
    """The document could not be made for good; the number stays with the invoice."""
    return await _fail(connection, invoice_id, actor, lambda invoice: invoice.fail_document(error, attempts))


async def fail_mail(connection: Connection, invoice_id: UUID, error: str, attempts: int, actor: Actor) -> Invoice:
    """The e-mail could not be sent for good; the invoice stays issued."""
    return await _fail(connection, invoice_id, actor, lambda invoice: invoice.fail_mail(error, attempts))


async def _fail(connection: Connection, invoice_id: UUID, actor: Actor, fail: Callable[[Invoice], Invoice]) -> Invoice:
    locked = await repository.lock(connection, invoice_id)
    failed = fail(locked.invoice)
    event = new_event(FAILED, invoice_failed(failed), actor)
    await repository.save(connection, locked, failed, _audit_entry(locked, failed, actor), event)
    return failed


def _audit_entry(locked: LockedInvoice, changed: Invoice, actor: Actor) -> AuditEntry:
    failure = changed.failure
    return AuditEntry(
        entity_type="INVOICE",
        entity_id=changed.id,
        previous_state=locked.invoice.status.value,
        new_state=changed.status.value,
        outcome="ACCEPTED",
        actor=actor,
        created_at=locked.now,
        details={
            "mail_status": changed.mail_status.value,
            "failed_step": failure and failure.step.value,
            "error": failure and failure.error,
        },
    )
