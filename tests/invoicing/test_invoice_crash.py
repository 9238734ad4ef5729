"""Workers that are killed after storing the document or sending the mail, and before the commit."""

import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from common.database.transactions import Pool
from invoicing.use_cases.jobs import MAIL_JOB
from support.example.invoices import consume, invoice_events, invoice_of, job_in_state
from support.example.order_events import order_shipped
from support.mail.mailbox import Mailbox
from support.postgres.databases import Database
from support.processes.worker import StartWorker, killed, worker_starter
from support.waiting import eventually


@pytest.fixture
def start_worker(database: Database, documents: Path, mailbox: Mailbox) -> Iterator[StartWorker]:
    wiring = {"DOCUMENT_FOLDER": str(documents), "SMTP_HOST": mailbox.host, "SMTP_PORT": str(mailbox.port)}
    with worker_starter("invoicing", database, **wiring) as start:
        yield start


def stored_files(documents: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in documents.iterdir()}


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def test_a_worker_killed_between_store_and_transaction_leaves_one_document_and_one_invoice(
    pool: Pool, start_worker: StartWorker, documents: Path
) -> None:
    order = order_shipped(customer_email=None)
    await consume(pool, order)
    await killed(start_worker(FAILPOINT="invoice.after_store:kill"))
    before = stored_files(documents)
    assert len(before) == 1
    assert (await invoice_of(pool, order)).status == "PENDING"

    survivor = start_worker()
    job = await job_in_state(pool, order, "done")
    assert len(job.errors) == 2
    assert stored_files(documents) == before
    assert (await invoice_of(pool, order)).status == "ISSUED"
    assert [event_type for event_type, _ in await invoice_events(pool, order)] == ["invoice.issued"]
    survivor.send_signal(signal.SIGTERM)
    assert survivor.wait(10) == 0


async def test_a_worker_killed_after_sending_the_mail_sends_it_again_with_the_same_id(
    pool: Pool, start_worker: StartWorker, mailbox: Mailbox
) -> None:
    order = order_shipped(customer_email=f"ada-{uuid4().hex[:12]}@example.org")
    await consume(pool, order)
    await killed(start_worker(FAILPOINT="invoice.after_mail:kill"))
    assert (await invoice_of(pool, order)).mail_status == "PENDING"

    start_worker()
    await job_in_state(pool, order, "done", MAIL_JOB)
    first, second = await mailbox.messages_to(order["customer_email"])
    assert first["Message-ID"] == second["Message-ID"]
    assert (await invoice_of(pool, order)).mail_status == "SENT"


async def test_the_rendering_processes_of_a_killed_worker_end(start_worker: StartWorker) -> None:
    worker = start_worker()

    async def renderers() -> list[str]:
        return children(worker.pid)

    [renderer] = await eventually(renderers)
    worker.kill()
    worker.wait()

    async def has_ended() -> bool:
        return not is_running(int(renderer))

    await eventually(has_ended)
