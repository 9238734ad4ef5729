"""Findings: the invoice of an order that was shipped, its e-mail, and what orders knows of it."""

from collections.abc import Iterator

from orders.explanation.evidence import Evidence, Invoice, InvoicingTimeline
from orders.explanation.finding import Finding, Severity, State
from orders.explanation.receiving import Hop, undelivered


def invoice_findings(evidence: Evidence) -> Iterator[Finding]:
    order, invoicing = evidence.orders.order, evidence.invoicing
    if order.shipped_at is None or invoicing is None:
        return
    invoice, again_at = invoicing.invoice, order.shipped_at + evidence.limits.invoice
    if invoice is None:
        yield from undelivered(
            evidence, Hop("orders", ("order.shipped",), "invoicing", "the invoice", again_at, "orders")
        )
        return
    if invoice.status == "PENDING":
        yield from _without_job(invoicing, invoice, "invoice-document")
    if invoice.status != "ISSUED":
        return
    yield from _mail(invoicing, invoice)
    yield from _document(invoicing)
    if evidence.orders.invoice is None:
        hop = Hop("invoicing", ("invoice.issued",), "orders", "the link to the invoice", again_at, "orders")
        yield from undelivered(evidence, hop)


def _mail(invoicing: InvoicingTimeline, invoice: Invoice) -> Iterator[Finding]:
    if invoice.mail_status == "PENDING":
        yield from _without_job(invoicing, invoice, "invoice-mail")
    if invoice.mail_status == "NO_ADDRESS":
        yield Finding(
            cause="invoice-not-mailed",
            severity=Severity.INFO,
            state=State.DONE,
            service="invoicing",
            headline=f"The order has no e-mail address: the invoice {invoice.number} is issued, and was not mailed.",
            since=invoice.issued_at,
            next="Nothing more happens; the invoice can be downloaded.",
            remedy="If the customer asks for it: send the document, which GET /orders/{id}/invoice links to.",
        )


def _without_job(invoicing: InvoicingTimeline, invoice: Invoice, kind: str) -> Iterator[Finding]:
    job = invoicing.job(kind)
    if job is None or job.state == "done":
        what = "PDF" if kind == "invoice-document" else "e-mail"
        yield Finding(
            cause="job-missing",
            severity=Severity.ERROR,
            state=State.STUCK,
            service="invoicing",
            headline=f"The {what} of the invoice {invoice.number} is not done, and no job for it exists.",
            since=invoice.issued_at or invoice.created_at,
            next="The reconciler of invoicing enqueues the job again within two minutes.",
            remedy="Check that the role reconciler of invoicing runs.",
        )


def _document(invoicing: InvoicingTimeline) -> Iterator[Finding]:
    for each in invoicing.discrepancies:
        if each.check == "document_missing":
            yield Finding(
                cause="document-missing",
                severity=Severity.ERROR,
                state=State.STUCK,
                service="invoicing",
                headline="The document of the invoice is missing or damaged in the document store.",
                since=each.first_seen,
                next="Nothing happens by itself: a document is never made again under the same number.",
                remedy="Restore the document from the backup of the document store.",
            )
