"""What belongs to an order on its timeline: its invoice, with the jobs of the document and the e-mail (ADR 42)."""

from uuid import UUID

from common.database.statements import Connection
from common.operators.timeline import TimelineSubject

from invoicing.domain.invoice import Invoice
from invoicing.repository import reading
from invoicing.tables import ENTITY
from invoicing.use_cases.jobs import DOCUMENT_JOB, MAIL_JOB


async def timeline_subject(connection: Connection, order_id: UUID) -> TimelineSubject:
    invoice = await reading.find_of_order(connection, order_id)
    return TimelineSubject(
        entities=[] if invoice is None else [(ENTITY, invoice.id)],
        jobs=[(kind, str(order_id)) for kind in (DOCUMENT_JOB, MAIL_JOB)],
        members={"invoice": None if invoice is None else _members(invoice)},
    )


def _members(invoice: Invoice) -> dict[str, object]:
    failure = invoice.failure
    return {
        **{name: getattr(invoice, name) for name in ("id", "number", "status", "mail_status")},
        "created_at": invoice.created_at,
        "issued_at": invoice.issued_at,
        "failed_step": failure and failure.step,
        "error": failure and failure.error,
    }
