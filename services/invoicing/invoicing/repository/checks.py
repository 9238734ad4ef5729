"""Statements of the checks: invoices without a job, and documents to look at (ADR 40)."""

from common.database.statements import Connection, prepare
from common.database.tables import jobs
from common.reconciliation.candidates import recent_or_open
from sqlalchemy import ColumnElement, Integer, Interval, Select, Text, bindparam, cast, exists, func, literal, select

from invoicing.domain.invoice import Invoice, InvoiceStatus, MailStatus
from invoicing.repository.rows import to_invoice
from invoicing.tables import invoices

INVOICE_WITHOUT_JOB = "invoice_without_job"
MAIL_WITHOUT_JOB = "invoice_mail_without_job"

_most = bindparam("most", type_=Integer)
_long_ago = func.now() - bindparam("limit", type_=Interval)


def _has_job() -> ColumnElement[bool]:
    """One that is done has ended without the invoice; a dead one is known to the operators. To discard one is no reason
    to owe no invoice."""
    is_alive_or_dead = jobs.c.state.not_in([literal(each, literal_execute=True) for each in ("done", "discarded")])
    return exists().where(
        jobs.c.kind == bindparam("kind", type_=Text),
        jobs.c.business_key == cast(invoices.c.order_id, Text),
        is_alive_or_dead,
    )


def _invoices(*where: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    return (
        select(
            cast(invoices.c.id, Text).label("subject"),
            cast(invoices.c.order_id, Text).label("key"),
            invoices.c.id.label("invoice_id"),
            invoices.c.number.label("invoice_number"),
            invoices.c.order_id,
        )
        .where(*where, invoices.c.created_at < _long_ago, ~_has_job())
        .order_by(invoices.c.created_at)
        .limit(_most)
    )


find_pending_without_job = prepare(
    _invoices(invoices.c.status == literal(InvoiceStatus.PENDING.value, literal_execute=True))
)
find_unmailed_without_job = prepare(
    _invoices(
        invoices.c.order_id.in_(recent_or_open(MAIL_WITHOUT_JOB, invoices.c.order_id, invoices.c.created_at)),
        invoices.c.status == InvoiceStatus.ISSUED,
        invoices.c.mail_status == MailStatus.PENDING,
        invoices.c.issued_at < _long_ago,
    )
)
_NEWEST_ISSUED = prepare(
    select(invoices)
    .where(
        invoices.c.status == InvoiceStatus.ISSUED,
        invoices.c.order_id.in_(recent_or_open("document_missing", invoices.c.order_id, invoices.c.created_at)),
    )
    .order_by(invoices.c.created_at.desc(), invoices.c.id.desc())
    .limit(_most)
)


async def newest_issued(connection: Connection, most: int) -> list[Invoice]:
    return [to_invoice(row) for row in await _NEWEST_ISSUED.fetch_all(connection, most=most)]
