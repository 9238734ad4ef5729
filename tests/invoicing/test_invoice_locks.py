"""While rows of an invoice job are locked, its e-mail is sent once and its document rendered once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from common.database.transactions import Pool, open_pool
from invoicing.document_store.folder import FolderDocumentStore
from invoicing.invoice_pdf.renderer import Renderer
from invoicing.use_cases.jobs import DOCUMENT_JOB, MAIL_JOB
from invoicing.worker.document_job import DocumentJob
from support.example.invoices import consume, invoice_events, invoice_of, job_in_state, running_worker
from support.example.order_events import order_shipped
from support.jobs import handlers as jobs
from support.mail.mailbox import Mailbox
from support.postgres.databases import Database
from support.waiting import eventually


@pytest_asyncio.fixture
async def impatient_pool(database: Database) -> AsyncIterator[Pool]:
    """The worker's connections, with a lock timeout of 200 ms."""
    pool = await open_pool(database.dsn, application_name="impatient_pool", server_settings={"lock_timeout": "200ms"})
    yield pool
    await asyncio.wait_for(pool.close(), 20)


async def issue(pool: Pool, order: dict[str, Any], renderer: Renderer, store: FolderDocumentStore) -> None:
    """Render and store the document, so that only the mail remains."""
    async with jobs.running_worker(pool, DocumentJob(renderer, store)):
        await job_in_state(pool, order, "done", DOCUMENT_JOB)


@pytest.mark.parametrize("table", ["invoices", "audit", "audit_details"])
@pytest.mark.parametrize("kind", [MAIL_JOB, DOCUMENT_JOB])
async def test_a_temporarily_locked_table_repeats_no_work_and_fails_no_job(
    database: Database,
    pool: Pool,
    impatient_pool: Pool,
    renderer: Renderer,
    store: FolderDocumentStore,
    mailbox: Mailbox,
    table: str,
    kind: str,
) -> None:
    address = f"{uuid4().hex}@example.org"
    order = order_shipped(customer_email=address)
    await consume(pool, order)
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        if kind == MAIL_JOB:
            await issue(pool, order, renderer, store)
        async with running_worker(impatient_pool, renderer, store, mailbox):
            async with owner.transaction():
                await owner.execute(
                    f"LOCK TABLE {table} IN SHARE MODE"
                )  # the lock of CREATE INDEX, which permits reading
                was_set_back = "SELECT true FROM jobs WHERE kind = $1 AND set_backs > 12"
                await eventually(lambda: pool.fetchval(was_set_back, kind))
            await job_in_state(pool, order, "done", DOCUMENT_JOB)
            await job_in_state(pool, order, "done", MAIL_JOB)
    finally:
        await owner.close()
    assert len(await mailbox.messages_to(address)) == 1
    assert await pool.fetchval("SELECT failures FROM jobs WHERE kind = $1", kind) == 0
    assert (await invoice_of(pool, order)).mail_status == "SENT"
    assert [type_ for type_, _ in await invoice_events(pool, order)] == ["invoice.issued"]
