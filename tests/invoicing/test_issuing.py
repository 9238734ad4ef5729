"""The worker renders the document, issues the invoice and mails it; operators replay permanent failures."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from common.database.transactions import Pool, reading, transaction
from common.jobs.dead_letters import DEAD_JOB
from common.messaging.dead_letters import dead_letter_topic
from invoicing.document_store.folder import FolderDocumentStore
from invoicing.document_store.port import DocumentStore
from invoicing.domain.invoice import Document
from invoicing.invoice_pdf.renderer import Renderer
from invoicing.use_cases.jobs import DOCUMENT_JOB, MAIL_JOB
from prometheus_client import REGISTRY
from pypdf import PdfReader
from structlog.testing import capture_logs
from support.example.invoices import (
    RETRY_UNIT,
    consume,
    invoice_events,
    invoice_of,
    job_in_state,
    job_of,
    running_worker,
)
from support.example.order_events import order_shipped
from support.jobs.rows import replay_job
from support.mail.mailbox import Mailbox
from support.postgres.audit_trail import first_broken, history

DEAD_LETTERS = dead_letter_topic("invoicing")


def an_address() -> str:
    return f"ada-{uuid4().hex[:12]}@example.org"


class FullDisk:
    """A document store without space while `is_full` is true."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self.is_full = True

    async def put(self, invoice_id: UUID, content: bytes) -> Document:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return await self._store.put(invoice_id, content)

    async def get(self, invoice_id: UUID, document: Document) -> bytes:
        return await self._store.get(invoice_id, document)


async def replay(pool: Pool, job_id: UUID) -> None:
    async with transaction(pool) as connection:
        assert await replay_job(connection, job_id)


async def audit_transitions(pool: Pool, invoice_id: UUID) -> list[tuple[str | None, str]]:
    async with reading(pool) as connection:
        rows = await history(connection, "INVOICE", invoice_id)
    assert first_broken(rows) is None
    return [(row["previous_state"], row["new_state"]) for row in rows]


async def test_an_accepted_invoice_is_stored_issued_and_mailed_with_its_pdf(
    pool: Pool, renderer: Renderer, store: FolderDocumentStore, documents: Path, mailbox: Mailbox
) -> None:
    order = order_shipped(customer_email=an_address())
    await consume(pool, order)
    async with running_worker(pool, renderer, store, mailbox):
        await job_in_state(pool, order, "done", MAIL_JOB)
    invoice = await invoice_of(pool, order)
    assert (invoice.status, invoice.mail_status) == ("ISSUED", "SENT")
    [(name, content)] = stored_files(documents).items()
    assert name == f"{invoice.id}.pdf"
    assert hashlib.sha256(content).hexdigest() == invoice.document_sha256
    assert invoice.number in PdfReader(BytesIO(content)).pages[0].extract_text()

    [mail] = await mailbox.messages_to(order["customer_email"])
    [attachment] = mail.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == (f"{invoice.number}.pdf", content)
    assert mail["Message-ID"] == f"<invoice-{invoice.id}@articurated.example>"
    assert mail["Subject"] == f"Your invoice {invoice.number} for order ORD-2026-000042"
    body = mail.get_body()
    assert body is not None
    assert "Dear Ada Łukasiewicz" in body.get_content()
    assert "79.06 EUR" in body.get_content()


def issue_seconds(name: str, labels: dict[str, str] | None = None) -> float:
    return REGISTRY.get_sample_value(f"invoice_issue_seconds_{name}", labels or {}) or 0.0


async def test_the_time_of_an_invoice_counts_from_the_shipment(
    pool: Pool, renderer: Renderer, store: FolderDocumentStore, mailbox: Mailbox
) -> None:
    counted, in_time = issue_seconds("count"), issue_seconds("bucket", {"le": "300.0"})
    now = datetime.now(UTC)
    orders = [order_shipped(shipped_at=(now - age).isoformat()) for age in (timedelta(0), timedelta(minutes=9))]
    for order in orders:
        await consume(pool, order)
    async with running_worker(pool, renderer, store, mailbox):
        for order in orders:
            await job_in_state(pool, order, "done", DOCUMENT_JOB)
    assert issue_seconds("count") - counted == 2
    assert issue_seconds("bucket", {"le": "300.0"}) - in_time == 1


async def test_the_event_of_an_issued_invoice_has_its_full_state(
    pool: Pool, renderer: Renderer, store: FolderDocumentStore, mailbox: Mailbox
) -> None:
    order = order_shipped(customer_email=an_address())
    await consume(pool, order)
    async with running_worker(pool, renderer, store, mailbox):
        await job_in_state(pool, order, "done", MAIL_JOB)
    invoice = await invoice_of(pool, order)
    [(event_type, data)] = await invoice_events(pool, order)
    assert event_type == "invoice.issued"
    assert data.pop("issued_at").endswith("Z")
    assert data.pop("document")["sha256"] == invoice.document_sha256
    assert data == {
        "invoice_id": str(invoice.id),
        "invoice_number": invoice.number,
        "order_id": order["order_id"],
        "order_number": "ORD-2026-000042",
        "customer_id": order["customer_id"],
        "status": "ISSUED",
        "currency": "EUR",
        "net_amount": "68.30",
        "tax_amount": "10.76",
        "total_amount": "79.06",
        "mail_status": "PENDING",
        "failed_step": None,
        "error": None,
        "attempts": None,
    }
    assert await audit_transitions(pool, invoice.id) == [(None, "PENDING"), ("PENDING", "ISSUED"), ("ISSUED", "ISSUED")]


async def test_without_an_address_an_invoice_is_issued_and_nothing_is_mailed(
    pool: Pool, renderer: Renderer, store: FolderDocumentStore, mailbox: Mailbox
) -> None:
    order = order_shipped(customer_email=None)
    await consume(pool, order)
    async with running_worker(pool, renderer, store, mailbox):
        await job_in_state(pool, order, "done")
    assert (await invoice_of(pool, order)).mail_status == "NO_ADDRESS"
    assert await job_of(pool, order, MAIL_JOB) is None
    [(event_type, data)] = await invoice_events(pool, order)
    assert (event_type, data["mail_status"]) == ("invoice.issued", "NO_ADDRESS")


async def test_a_document_that_cannot_be_stored_fails_after_four_attempts_and_is_issued_after_a_replay(
    pool: Pool, renderer: Renderer, store: FolderDocumentStore, mailbox: Mailbox
) -> None:
    order = order_shipped(customer_email=an_address())
    await consume(pool, order)
    disk = FullDisk(store)
    async with running_worker(pool, renderer, disk, mailbox):
        with capture_logs() as logs:
            job = await job_in_state(pool, order, "dead")
        assert_tried_by_the_schedule(job.errors, job.waits)
        failed_invoice = await invoice_of(pool, order)
        assert (failed_invoice.status, failed_invoice.failed_step, failed_invoice.attempts) == ("FAILED", "document", 4)
        assert [log["invoice_number"] for log in logs if log["log_level"] == "critical"] == [failed_invoice.number]
        [(event_type, data)] = await invoice_events(pool, order)
        assert (event_type, data["step"], data["attempts"]) == ("invoice.failed", "document", 4)
        assert "No space left" in data["error"]
        assert (data["status"], data["document"], data["issued_at"]) == ("FAILED", None, None)
        assert await dead_letter(pool, order) == (DOCUMENT_JOB, str(job.id), 4)

        disk.is_full = False
        await replay(pool, job.id)
        await job_in_state(pool, order, "done", MAIL_JOB)
    replayed = await invoice_of(pool, order)
    assert (replayed.number, replayed.status, replayed.failed_step) == (failed_invoice.number, "ISSUED", None)
    assert [event_type for event_type, _ in await invoice_events(pool, order)] == ["invoice.failed", "invoice.issued"]
    assert await audit_transitions(pool, replayed.id) == [
        (None, "PENDING"),
        ("PENDING", "FAILED"),
        ("FAILED", "ISSUED"),
        ("ISSUED", "ISSUED"),
    ]


@pytest.mark.parametrize("fault", ["refuse", "reject"])
async def test_a_mail_that_cannot_be_sent_fails_after_four_attempts_and_is_sent_after_a_replay(
    fault: str, pool: Pool, renderer: Renderer, store: FolderDocumentStore, mailbox: Mailbox
) -> None:
    order = order_shipped(customer_email=an_address())
    await mailbox.fail(fault, times=4, recipient=order["customer_email"])
    await consume(pool, order)
    async with running_worker(pool, renderer, store, mailbox):
        with capture_logs() as logs:
            job = await job_in_state(pool, order, "dead", MAIL_JOB)
        assert_tried_by_the_schedule(job.errors, job.waits)
        failed_invoice = await invoice_of(pool, order)
        assert (failed_invoice.status, failed_invoice.mail_status, failed_invoice.failed_step) == (
            "ISSUED",
            "FAILED",
            "mail",
        )
        assert [log["invoice_number"] for log in logs if log["log_level"] == "critical"] == [failed_invoice.number]
        event_type, data = (await invoice_events(pool, order))[-1]
        assert (event_type, data["step"], data["attempts"], data["status"]) == ("invoice.failed", "mail", 4, "ISSUED")
        assert await dead_letter(pool, order) == (MAIL_JOB, str(job.id), 4)
        assert await mailbox.messages_to(order["customer_email"]) == []

        await replay(pool, job.id)
        await job_in_state(pool, order, "done", MAIL_JOB)
    assert (await invoice_of(pool, order)).mail_status == "SENT"
    assert len(await mailbox.messages_to(order["customer_email"])) == 1
    assert [event_type for event_type, _ in await invoice_events(pool, order)] == ["invoice.issued", "invoice.failed"]


@pytest.mark.parametrize(
    "address",
    ["=?utf-8?q?abc?=@customers.example", "ada..l@example.org", '"ada l"@example.org', "ada@example.org\r\nx"],
)
async def test_an_invalid_address_of_an_older_order_fails_the_mail_immediately_and_not_the_invoice(
    address: str, pool: Pool, renderer: Renderer, store: FolderDocumentStore, mailbox: Mailbox
) -> None:
    order = order_shipped(customer_email=address)
    await consume(pool, order)
    async with running_worker(pool, renderer, store, mailbox):
        job = await job_in_state(pool, order, "dead", MAIL_JOB)
    assert [error.partition(":")[0] for error in job.errors if error] == ["UnusableAddress"]
    invoice = await invoice_of(pool, order)
    assert (invoice.status, invoice.mail_status, invoice.failed_step) == ("ISSUED", "FAILED", "mail")
    assert [event_type for event_type, _ in await invoice_events(pool, order)] == ["invoice.issued", "invoice.failed"]


async def test_an_international_domain_of_an_older_producer_gets_mail_at_its_a_label(
    pool: Pool, renderer: Renderer, store: FolderDocumentStore, mailbox: Mailbox
) -> None:
    name = f"ada-{uuid4().hex[:12]}"
    order = order_shipped(customer_email=f"{name}@münchen.example")
    await consume(pool, order)
    async with running_worker(pool, renderer, store, mailbox):
        await job_in_state(pool, order, "done", MAIL_JOB)
    [message] = await mailbox.messages_to(name)
    assert (message["To"], message["Delivered-To"]) == (f"{name}@xn--mnchen-3ya.example",) * 2


async def test_an_order_number_cannot_change_the_headers_of_the_mail(
    pool: Pool, renderer: Renderer, store: FolderDocumentStore, mailbox: Mailbox
) -> None:
    order = order_shipped(customer_email=an_address(), order_number="=?utf-8?q?Bcc=3A_eve=40example=2Eorg?=")
    await consume(pool, order)
    async with running_worker(pool, renderer, store, mailbox):
        await job_in_state(pool, order, "done", MAIL_JOB)
    [message] = await mailbox.messages_to(order["customer_email"])
    assert message["Subject"].endswith("for order =?utf-8?q?Bcc=3A_eve=40example=2Eorg?=")


async def test_a_failing_invoice_delays_no_other(
    pool: Pool, renderer: Renderer, store: FolderDocumentStore, mailbox: Mailbox
) -> None:
    failing_order, good_order = order_shipped(customer_email=an_address()), order_shipped(customer_email=an_address())
    await mailbox.fail("refuse", times=None, recipient=failing_order["customer_email"])
    await consume(pool, failing_order, good_order)
    async with running_worker(pool, renderer, store, mailbox):
        await job_in_state(pool, good_order, "done", MAIL_JOB)
        await job_in_state(pool, failing_order, "dead", MAIL_JOB)


async def test_a_damaged_document_is_not_mailed(
    pool: Pool, renderer: Renderer, store: FolderDocumentStore, documents: Path, mailbox: Mailbox
) -> None:
    order = order_shipped(customer_email=an_address())
    await consume(pool, order)
    invoice = await invoice_of(pool, order)
    await mailbox.fail("refuse", recipient=order["customer_email"])
    async with running_worker(pool, renderer, store, mailbox):
        await job_in_state(pool, order, "done")
        (documents / f"{invoice.id}.pdf").write_bytes(b"%PDF-1.4 something else")
        job = await job_in_state(pool, order, "dead", MAIL_JOB)
    assert "is not the one that was stored" in (job.errors[-1] or "")
    assert await mailbox.messages_to(order["customer_email"]) == []


async def test_a_message_whose_acknowledgement_was_lost_is_sent_again_with_the_same_id(
    pool: Pool, renderer: Renderer, store: FolderDocumentStore, mailbox: Mailbox
) -> None:
    order = order_shipped(customer_email=an_address())
    await mailbox.fail("drop_after_data", recipient=order["customer_email"])
    await consume(pool, order)
    async with running_worker(pool, renderer, store, mailbox):
        await job_in_state(pool, order, "done", MAIL_JOB)
    first, second = await mailbox.messages_to(order["customer_email"])
    assert first["Message-ID"] == second["Message-ID"]


def stored_files(documents: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in documents.iterdir()}


def assert_tried_by_the_schedule(errors: list[str | None], waits: list[float]) -> None:
    assert len(errors) == 4
    assert all(errors)
    for wait, least in zip(waits, (1, 2, 4), strict=True):
        assert wait >= least * RETRY_UNIT


async def dead_letter(pool: Pool, order: dict[str, Any]) -> tuple[str, str, int]:
    [(event_type, data)] = await invoice_events(pool, order, DEAD_LETTERS)
    assert event_type == DEAD_JOB
    assert json.dumps(data["payload"]).count("invoice_id") == 1
    return data["kind"], data["job_id"], data["attempts"]
