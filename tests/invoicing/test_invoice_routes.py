"""Invoices over HTTP: documents by signed link, all other routes for staff only."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from common.access.auth import Role
from common.audit.actor import Actor
from common.database.transactions import Pool, transaction
from common.signed_links import SignedLinks
from invoicing.app import SERVICE
from invoicing.document_store.folder import FolderDocumentStore
from invoicing.use_cases.commands import issue_invoice
from structlog.testing import capture_logs
from support.events.traceparent import TRACEPARENT
from support.example.invoices import consume, invoice_of, job_in_state
from support.example.order_events import order_shipped
from support.gateway.application import Gateway, exact_json, serve
from support.gateway.openapi import DocumentedResponses
from support.postgres.databases import Database

KEY = "a key to sign links with"
PDF = b"%PDF-1.4 Ada's invoice"
ACTOR = Actor(None, "invoice-document", "SYSTEM", "BACKGROUND_JOB", TRACEPARENT)


@pytest_asyncio.fixture
async def gateway(database: Database, documents: Path) -> AsyncIterator[Gateway]:
    async with serve(SERVICE, database, document_folder=documents) as running:
        yield running


async def issue(pool: Pool, store: FolderDocumentStore, order: dict[str, object]) -> UUID:
    """Issue the order's invoice with a document that is not a real PDF."""
    invoice = await invoice_of(pool, order)
    document = await store.put(invoice.id, PDF)
    async with transaction(pool) as connection:
        await issue_invoice(connection, invoice.id, document, ACTOR)
    return invoice.id


@pytest_asyncio.fixture
async def issued_invoice(pool: Pool, store: FolderDocumentStore) -> UUID:
    order = order_shipped()
    await consume(pool, order)
    return await issue(pool, store, order)


def link_to(invoice_id: UUID, *, key: str = KEY, minutes: float = 15) -> str:
    expires_at = datetime.now(UTC) + timedelta(minutes=minutes)
    return SignedLinks(key).sign(f"/api/v1/invoices/{invoice_id}/document", expires_at).removeprefix("/api/v1")


async def test_a_signed_link_gives_the_document_without_an_api_key(gateway: Gateway, issued_invoice: UUID) -> None:
    response = await gateway.call("GET", link_to(issued_invoice), key="")
    assert (response.status_code, response.content) == (200, PDF)
    assert response.headers["content-type"] == "application/pdf"
    assert response.headers["content-disposition"].startswith('attachment; filename="INV-')
    assert response.headers["etag"] == f'"{hashlib.sha256(PDF).hexdigest()}"'
    assert response.headers.get_list("x-content-type-options") == ["nosniff"]
    assert response.headers.get_list("cache-control") == ["private, no-cache"]


async def test_a_document_that_the_client_already_has_is_not_sent_again(gateway: Gateway, issued_invoice: UUID) -> None:
    tag = (await gateway.call("GET", link_to(issued_invoice))).headers["etag"]
    for tags in (tag, f"W/{tag}", f'"older", W/"other",{tag}', "*", f" {tag} "):
        again = await gateway.call("GET", link_to(issued_invoice), headers={"If-None-Match": tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    for other, status in (('"older"', 200), ('"a", W/"b"', 200), (tag.strip('"'), 400), (f"{tag[:-1]}x", 400)):
        response = await gateway.call("GET", link_to(issued_invoice), headers={"If-None-Match": other})
        assert response.status_code == status, other


@pytest.mark.parametrize(
    "change",
    [
        lambda link: link.partition("?")[0],
        lambda link: link[:-1] + ("0" if link[-1] != "0" else "1"),
        lambda link: link.replace("expires=", "expires=1"),
        lambda link: link.replace("signature=", "signature=ä"),
    ],
    ids=["unsigned", "another signature", "later expiry", "not ASCII"],
)
async def test_a_changed_link_is_rejected(gateway: Gateway, issued_invoice: UUID, change: object) -> None:
    assert callable(change)
    response = await gateway.call("GET", change(link_to(issued_invoice)))
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "FORBIDDEN"


async def test_the_expiry_of_a_link_must_be_written_in_digits(gateway: Gateway, issued_invoice: UUID) -> None:
    for prefix in ("%2B", "%20", "0x"):
        link = link_to(issued_invoice).replace("expires=", f"expires={prefix}")
        assert (await gateway.call("GET", link)).status_code == 422


async def test_a_link_expires_and_is_valid_for_one_document_only(gateway: Gateway, issued_invoice: UUID) -> None:
    other = link_to(issued_invoice).replace(str(issued_invoice), str(uuid4()))
    for link in (link_to(issued_invoice, minutes=-1), link_to(issued_invoice, key="another key"), other):
        assert (await gateway.call("GET", link)).status_code == 403


async def test_a_missing_document_is_404(gateway: Gateway, pool: Pool) -> None:
    order = order_shipped()
    await consume(pool, order)
    for invoice_id in (uuid4(), (await invoice_of(pool, order)).id):
        response = await gateway.call("GET", link_to(invoice_id))
        assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_a_damaged_document_is_not_returned(gateway: Gateway, issued_invoice: UUID, documents: Path) -> None:
    (documents / f"{issued_invoice}.pdf").write_bytes(b"%PDF-1.4 forged")
    with capture_logs() as logs:
        response = await gateway.call("GET", link_to(issued_invoice))
    assert (response.status_code, response.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert "error" in [log["log_level"] for log in logs]
    assert str(documents) not in response.text


async def test_an_unreadable_document_store_is_not_reported_as_a_database_failure(
    gateway: Gateway, issued_invoice: UUID, documents: Path
) -> None:
    document = documents / f"{issued_invoice}.pdf"
    document.unlink()
    document.mkdir()
    response = await gateway.call("GET", link_to(issued_invoice))
    assert (response.status_code, response.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert "database" not in response.text
    assert str(documents) not in response.text


async def test_staff_can_read_all_fields_of_an_invoice(gateway: Gateway, issued_invoice: UUID) -> None:
    response = await gateway.get(f"/invoices/{issued_invoice}", key=Role.WAREHOUSE)
    assert response.status_code == 200
    invoice = exact_json(response)
    assert invoice["document"] == {
        "sha256": hashlib.sha256(PDF).hexdigest(),
        "size_bytes": len(PDF),
        "content_type": "application/pdf",
    }
    assert str(invoice["total_amount"]) == "79.06"
    assert (invoice["status"], invoice["mail_status"], invoice["failed_step"]) == ("ISSUED", "PENDING", None)
    DocumentedResponses(gateway.app).check(response)


async def test_invoices_are_listed_newest_first_with_exact_totals(
    gateway: Gateway, pool: Pool, store: FolderDocumentStore
) -> None:
    orders = [order_shipped() for _ in range(5)]
    for order in orders:
        await consume(pool, order)
    await issue(pool, store, orders[0])
    await issue(pool, store, orders[3])

    response = await gateway.get("/invoices?limit=2&offset=1")
    DocumentedResponses(gateway.app).check(response)
    page = response.json()
    assert [each["order_id"] for each in page["data"]] == [orders[3]["order_id"], orders[2]["order_id"]]
    assert page["pagination"].pop("next_cursor")
    assert page["pagination"] == {"limit": 2, "offset": 1, "total": 5, "has_more": True}

    issued_page = (await gateway.get("/invoices?status=ISSUED")).json()
    assert [each["order_id"] for each in issued_page["data"]] == [orders[3]["order_id"], orders[0]["order_id"]]
    assert issued_page["pagination"]["total"] == 2
    assert (await gateway.get("/invoices?status=PENDING&limit=1")).json()["pagination"]["total"] == 3
    assert (await gateway.get("/invoices?status=FAILED")).json()["pagination"]["total"] == 0
    assert (await gateway.get("/metrics")).json()["invoices"] == {
        "total": 5,
        "by_status": {"PENDING": 3, "ISSUED": 2, "FAILED": 0},
    }


async def test_a_page_and_its_total_agree_while_invoices_are_added(gateway: Gateway, pool: Pool) -> None:
    async def invoice_many() -> None:
        for _ in range(30):
            await consume(pool, order_shipped())

    incoming = asyncio.create_task(invoice_many())
    while not incoming.done():
        page = (await gateway.get("/invoices?limit=100")).json()
        assert len(page["data"]) == page["pagination"]["total"]
        pending = (await gateway.get("/invoices?limit=100&status=PENDING")).json()
        assert len(pending["data"]) == pending["pagination"]["total"]
        counts = (await gateway.get("/metrics")).json()["invoices"]
        assert counts["by_status"] == {"PENDING": counts["total"], "ISSUED": 0, "FAILED": 0}
    await incoming


@pytest.mark.parametrize(("query", "count"), [("", 1), ("&status=PENDING", 1), ("&status=ISSUED", 0), ("&offset=1", 0)])
async def test_an_orders_invoice_is_found_by_the_order(gateway: Gateway, pool: Pool, query: str, count: int) -> None:
    order = order_shipped()
    await consume(pool, order, order_shipped())
    page = (await gateway.get(f"/invoices?order_id={order['order_id']}{query}")).json()
    assert [each["order_id"] for each in page["data"]] == [order["order_id"]] * count


async def test_an_unknown_order_has_no_invoice_and_an_unknown_invoice_is_404(gateway: Gateway) -> None:
    page = (await gateway.get(f"/invoices?order_id={uuid4()}")).json()
    assert (page["data"], page["pagination"]["total"]) == ([], 0)
    assert (await gateway.get(f"/invoices/{uuid4()}")).status_code == 404


@pytest.mark.parametrize("path", ["/invoices", "/invoices/0192f3a4-0000-7000-8000-0000000000ff"])
async def test_only_staff_may_read_invoices(gateway: Gateway, path: str) -> None:
    assert (await gateway.call("GET", path, key="")).status_code == 401
    assert (await gateway.get(path, key=Role.CLIENT)).status_code == 403
    for role in Role.staff():
        assert (await gateway.get(path, key=role)).status_code in {200, 404}


async def test_a_dead_invoice_is_replayed_by_an_operator_over_http(
    gateway: Gateway, pool: Pool, store: FolderDocumentStore
) -> None:
    order = order_shipped()
    await consume(pool, order)
    await pool.execute("UPDATE jobs SET state = 'dead', finished_at = now()")
    job = await job_in_state(pool, order, "dead")
    assert (await gateway.post(f"/ops/jobs/{job.id}/replay", {})).status_code == 200
    await job_in_state(pool, order, "ready")
