"""Makes the document of an accepted invoice: typeset, stored once, and then issued."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog
from common import failpoints
from common.audit.actor import Actor
from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.jobs import dead_letters, queue
from common.jobs.outside_work import once
from common.jobs.queue import Job, Schedule
from common.jobs.worker import JobHandler
from common.telemetry.trace_context import new_traceparent
from prometheus_client import Counter

from invoicing import repository
from invoicing.document_store import DocumentStore
from invoicing.domain import Document
from invoicing.invoice_pdf.renderer import Renderer
from invoicing.use_cases import SERVICE, fail_document, issue_invoice

RETRIES = Schedule((1, 2, 4))

_log = structlog.get_logger(__name__)
_invoices = Counter(
    "invoices_total", "Invoices by how they ended; a failed one may be issued after a replay.", ["outcome"]
)


class DocumentJob:
    def __init__(self, pool: Pool, renderer: Renderer, store: DocumentStore) -> None:
        self._pool = pool
        self._renderer = renderer
        self._store = store

    @property
    def handler(self) -> JobHandler:
        return JobHandler(self.run, self.on_dead, RETRIES)

    async def run(self, job: Job) -> None:
        """A crash after storing leaves a document that the next attempt finds: the same snapshot, the same bytes."""
        invoice_id = UUID(job.payload["invoice_id"])
        stored = await once(self._pool, job, lambda: self._store_document(invoice_id))
        document = Document(stored["sha256"], stored["size_bytes"])
        async with transaction(self._pool) as connection:
            invoice = await issue_invoice(connection, invoice_id, document, acting(job))
            await queue.complete(connection, job)
        _invoices.labels("issued").inc()
        _log.info("invoice issued", invoice_number=invoice.number, order_id=str(invoice.order_id))

    async def _store_document(self, invoice_id: UUID) -> Mapping[str, Any]:
        async with reading(self._pool) as connection:
            snapshot = await repository.find_snapshot(connection, invoice_id)
        document = await self._store.put(invoice_id, await self._renderer.render(snapshot))
        failpoints.hit("invoice.after_store")
        return {"sha256": document.sha256, "size_bytes": document.size_bytes}

    async def on_dead(self, connection: Connection, job: Job, error: str) -> None:
        invoice = await fail_document(connection, UUID(job.payload["invoice_id"]), error, job.attempt, acting(job))
        await dead_letters.append_dead_job(connection, SERVICE, str(invoice.order_id), job, error)
        _invoices.labels("failed").inc()
        _log.critical(
            "invoice failed for good: its number waits until an operator replays the job",
            invoice_number=invoice.number,
            order_id=str(invoice.order_id),
            job_id=str(job.id),
            attempts=job.attempt,
            error=error,
        )


def acting(job: Job) -> Actor:
    return Actor(
        id=job.kind,
        type="SYSTEM",
        trigger="BACKGROUND_JOB",
        traceparent=new_traceparent(job.traceparent),
        causation_id=job.causation_id,
    )
