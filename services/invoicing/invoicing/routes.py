"""The HTTP routes of invoices: for staff, and the document for the holder of a signed link."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from common.access.auth import Role
from common.edge.commands.query import read, read_page
from common.edge.pages.timeline_routes import timeline_router
from common.edge.requests.conditions import client_has
from common.edge.requests.query import InDigits, PageQuery
from common.edge.routing.router import Router
from common.errors import Problem
from common.service import Runtime
from common.signed_links import SignedLinks
from fastapi import Query, Request, Response

from invoicing.document_store.port import DocumentStore
from invoicing.domain.invoice import PDF, InvoiceStatus
from invoicing.schemas import InvoiceResponse, InvoicingTimeline, invoice_response
from invoicing.use_cases import queries
from invoicing.use_cases.timelines import timeline_subject

DOCUMENT_HEADERS = {
    name: {"description": description, "schema": {"type": "string"}}
    for name, description in (
        ("ETag", "The document's SHA-256: send it back as If-None-Match."),
        ("Content-Disposition", "The file name: the invoice's number."),
    )
}

router = Router("/invoices", tag="Invoices")
timelines = timeline_router(
    timeline_subject,
    returns=InvoicingTimeline,
    description="What invoicing knows of the order with this id: its invoice, the jobs of the document and the e-mail "
    "with their attempts, events with their delivery, and whether the consumer is behind.",
)


@router.route("GET", "", roles=Role.staff(), lists=InvoiceResponse)
async def list_invoices(
    request: Request,
    paging: PageQuery,
    order_id: Annotated[UUID | None, Query(description="The invoice of this order.")] = None,
    status: Annotated[InvoiceStatus | None, Query(description="Invoices with this status.")] = None,
) -> Response:
    """The invoices of all orders, newest first, optionally those of one order or with one status."""
    return await read_page(request, queries.list_invoices, order_id, status, paging=paging, render=invoice_response)


@router.route("GET", "/{invoice_id}", roles=Role.staff(), returns=InvoiceResponse)
async def get_invoice(request: Request, invoice_id: UUID) -> Response:
    """The invoice with the states of its document and its e-mail, and with the error of a step that failed."""
    return await read(request, queries.get_invoice, invoice_id, render=invoice_response)


@router.route(
    "GET",
    "/{invoice_id}/document",
    roles=None,
    operation_id="getInvoiceDocument",
    responses={
        200: {"content": {PDF: {"schema": {"type": "string", "format": "binary"}}}, "headers": DOCUMENT_HEADERS},
        304: {"description": "The client has it already.", "headers": DOCUMENT_HEADERS},
        400: {},
        403: {},
        422: {},
    },
    response_class=Response,
)
async def get_document(
    request: Request,
    invoice_id: UUID,
    expires: Annotated[int, Query(description="When the link expires, in seconds since 1970."), InDigits] = 0,
    signature: Annotated[str, Query(description="The signature of the link.")] = "",
) -> Response:
    """The PDF. The signed link replaces the API key: 403 when it was altered or has expired."""
    links: SignedLinks = request.app.state.signed_links
    if not links.verify(request.url.path, expires, signature, datetime.now(UTC)):
        raise Problem.forbidden("The link is not valid, or has expired: request a new one.")
    async with Runtime.of(request).reading() as connection:
        invoice = await queries.get_invoice(connection, invoice_id)
    if invoice.document is None:
        raise Problem.not_found("document", invoice_id)
    headers = {
        "ETag": f'"{invoice.document.sha256}"',
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{invoice.number}.pdf"',
    }
    if client_has(request.scope, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    store: DocumentStore = request.app.state.document_store
    return Response(await store.get(invoice_id, invoice.document), headers=headers, media_type=PDF)
