"""The job that makes the document of an invoice: rendered, stored once, and then issued."""

from common.database.statements import Connection
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job
from common.telemetry.tracing import outside_call
from prometheus_client import Counter, Histogram

from invoicing.document_store.port import DocumentStore
from invoicing.domain.invoice import Document, Step
from invoicing.invoice_pdf.renderer import Renderer
from invoicing.repository import reading
from invoicing.use_cases.commands import issue_invoice, record_failure
from invoicing.use_cases.jobs import DOCUMENT_JOB, invoice_id, shipped_at, subject

# The objective is five minutes; the schedule of retries ends after seven.
_seconds = Histogram(
    "invoice_issue_seconds",
    "From the shipment of an order to its issued invoice",
    buckets=(0.1, 0.5, 1, 5, 30, 60, 300, 600, 3600, 86400),
)


class DocumentJob(JobHandler):
    kind = DOCUMENT_JOB
    retry_delays = (1, 2, 4)
    failpoint = "invoice.after_store"
    counter = Counter(
        "invoices_total", "Invoices by how they ended; a failed one may be issued after a replay.", ["outcome"]
    )
    success = "issued"
    success_message = "invoice issued"
    failure_message = "invoice failed permanently: its number waits until an operator replays the job"

    def __init__(self, renderer: Renderer, store: DocumentStore) -> None:
        self._renderer = renderer
        self._store = store

    async def work(self, job: Job) -> dict[str, object]:
        """A crash after storing leaves a document that the next attempt finds: the same snapshot, the same bytes."""
        of_invoice = invoice_id(job)
        async with job.reading() as connection:
            snapshot = await reading.find_snapshot(connection, of_invoice)
        content = await self._renderer.render(snapshot)
        with outside_call("document_store.put", {"articurated.document.size_bytes": len(content)}):
            document = await self._store.put(of_invoice, content)
        return {"sha256": document.sha256, "size_bytes": document.size_bytes}

    async def on_success(self, connection: Connection, job: Job) -> Subject:
        document = Document(job.result["sha256"], job.result["size_bytes"])
        invoice = await issue_invoice(connection, invoice_id(job), document, job.actor)
        since = shipped_at(job)
        if since is not None and invoice.issued_at is not None:
            _seconds.observe((invoice.issued_at - since).total_seconds())
        return subject(invoice)

    async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
        return subject(await record_failure(connection, invoice_id(job), Step.DOCUMENT, error, job.attempt, job.actor))
