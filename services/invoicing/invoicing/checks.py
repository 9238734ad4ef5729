"""The checks of invoicing: an invoice that is not finished has a job, and an issued one its document (ADR 40)."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from common.audit.actor import Actor
from common.database.statements import Connection
from common.database.transactions import Pool, reading
from common.jobs import queue
from common.reconciliation.check import MOST_FINDINGS, Check, Finding, QueryCheck
from common.telemetry.tracing import traceparent_below

from invoicing.document_store.port import DamagedDocument, DocumentStore
from invoicing.repository import checks
from invoicing.use_cases.jobs import DOCUMENT_JOB, MAIL_JOB, new_job
from invoicing.use_cases.queries import get_invoice

# A job is enqueued in the transaction that makes it necessary; the limit is for what is being looked at meanwhile.
WITHOUT_JOB_LIMIT = timedelta(minutes=1)
DOCUMENTS_PER_ROUND = 20


def invoice_checks(store: DocumentStore, limit: timedelta = WITHOUT_JOB_LIMIT) -> Iterable[Check]:
    return [
        QueryCheck(
            checks.INVOICE_WITHOUT_JOB,
            checks.find_pending_without_job,
            repair=partial(_enqueue, DOCUMENT_JOB),
            kind=DOCUMENT_JOB,
            limit=limit,
        ),
        QueryCheck(
            checks.MAIL_WITHOUT_JOB,
            checks.find_unmailed_without_job,
            repair=partial(_enqueue, MAIL_JOB),
            kind=MAIL_JOB,
            limit=limit,
        ),
        DocumentsAreStored(store),
    ]


async def _enqueue(kind: str, connection: Connection, finding: Finding) -> None:
    invoice = await get_invoice(connection, UUID(finding.details["invoice_id"]))
    actor = Actor(None, "reconciler", "SYSTEM", "BACKGROUND_JOB", traceparent_below())
    await queue.enqueue(connection, new_job(kind, invoice, actor))


class DocumentsAreStored(Check):
    """The documents of the newest invoices are in the store, as they were issued. None is ever made again."""

    name = "document_missing"

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def find(self, pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        async with reading(pool) as connection:
            issued = await checks.newest_issued(connection, DOCUMENTS_PER_ROUND)
        findings = []
        for invoice in issued:
            if invoice.document is None:
                continue
            try:
                await self._store.get(invoice.id, invoice.document)
            except DamagedDocument as error:
                details = {"invoice_number": invoice.number, "problem": str(error)}
                findings.append(Finding(str(invoice.id), str(invoice.order_id), details))
        return findings
