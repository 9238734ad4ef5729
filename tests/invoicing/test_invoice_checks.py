"""The checks of invoicing: lost jobs are replaced, missing documents named, and missing results published again."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from common.database.transactions import Pool, transaction
from common.messaging.envelope import ReceivedEvent
from common.messaging.incoming.records import Incoming
from common.reconciliation.reports import DISCREPANCY, DiscrepancyView
from invoicing.checks import invoice_checks
from invoicing.consumer import event_handlers
from invoicing.document_store.folder import FolderDocumentStore
from invoicing.use_cases.commands import issue_invoice
from invoicing.use_cases.jobs import MAIL_JOB
from support.events.traceparent import TRACEPARENT
from support.example.invoices import SELLER, consume, invoice_events, invoice_of, job_of
from support.example.order_events import order_shipped
from support.example.refunds import EVENT
from support.reconciliation.rounds import reconcile

NOW = timedelta(0)


async def issue(pool: Pool, store: FolderDocumentStore, order: dict[str, object]) -> UUID:
    """As the worker does, with a document that is no PDF."""
    invoice_id = (await invoice_of(pool, order)).id
    document = await store.put(invoice_id, b"paper")
    async with transaction(pool) as connection:
        await issue_invoice(connection, invoice_id, document, EVENT)
    await pool.execute("UPDATE jobs SET state = 'done', finished_at = now() WHERE kind = 'invoice-document'")
    return invoice_id


async def test_an_invoice_whose_job_was_deleted_gets_a_new_one(pool: Pool, store: FolderDocumentStore) -> None:
    order = order_shipped()
    await consume(pool, order, order_shipped())
    checks = list(invoice_checks(store, NOW))
    assert await reconcile(pool, checks) == []
    await pool.execute("DELETE FROM jobs WHERE business_key = $1", order["order_id"])

    found = await reconcile(pool, checks)

    assert found == [("invoice_without_job", str((await invoice_of(pool, order)).id))]
    job = await job_of(pool, order)
    assert job is not None
    assert job.state == "ready"
    assert await reconcile(pool, checks) == []


async def test_an_invoice_whose_job_was_discarded_is_named_until_it_is_replayed(
    pool: Pool, store: FolderDocumentStore
) -> None:
    order = order_shipped()
    await consume(pool, order)
    await pool.execute("UPDATE jobs SET state = 'discarded' WHERE business_key = $1", order["order_id"])
    checks = list(invoice_checks(store, NOW))
    assert await reconcile(pool, checks) == [("invoice_without_job", str((await invoice_of(pool, order)).id))]
    await pool.execute("UPDATE jobs SET state = 'ready' WHERE business_key = $1", order["order_id"])
    assert await reconcile(pool, checks) == []


async def test_an_e_mail_whose_job_was_deleted_gets_a_new_one(pool: Pool, store: FolderDocumentStore) -> None:
    order = order_shipped()
    await consume(pool, order)
    invoice_id = await issue(pool, store, order)
    checks = list(invoice_checks(store, NOW))
    assert await reconcile(pool, checks) == []
    await pool.execute("DELETE FROM jobs WHERE kind = $1", MAIL_JOB)

    assert await reconcile(pool, checks) == [("invoice_mail_without_job", str(invoice_id))]
    assert await job_of(pool, order, MAIL_JOB) is not None
    assert await reconcile(pool, checks) == []


async def test_a_document_that_is_missing_or_damaged_is_named(
    pool: Pool, store: FolderDocumentStore, documents: Path
) -> None:
    orders = [order_shipped() for _ in range(3)]
    await consume(pool, *orders)
    missing, damaged, _ = [await issue(pool, store, order) for order in orders]
    (documents / f"{missing}.pdf").unlink()
    (documents / f"{damaged}.pdf").write_bytes(b"ashes")

    found = await reconcile(pool, invoice_checks(store))

    assert sorted(found) == sorted([("document_missing", str(missing)), ("document_missing", str(damaged))])


async def ask(pool: Pool, order_id: str) -> None:
    data = {"check": "invoice_missing", "details": {"order_id": order_id}}
    event = ReceivedEvent(
        str(uuid4()), DISCREPANCY, "/articurated/orders", order_id, order_id, 5, 1, datetime.now(UTC), TRACEPARENT,
        None, json.dumps(data).encode(),
    )  # fmt: skip
    async with transaction(pool) as connection:
        handler = event_handlers(SELLER)[DISCREPANCY]
        await handler.process(connection, [Incoming(event, DiscrepancyView.model_validate(data))])


async def test_an_issued_invoice_is_published_again_for_who_asks(pool: Pool, store: FolderDocumentStore) -> None:
    order = order_shipped()
    await consume(pool, order)
    await ask(pool, order["order_id"])
    assert await invoice_events(pool, order) == []  # it is still being made
    await issue(pool, store, order)

    await ask(pool, order["order_id"])

    [first, again] = await invoice_events(pool, order)
    assert first == again
    await ask(pool, str(uuid4()))
