"""The HTTP routes of refunds: those of staff, and the provider's webhooks (docs/reference/refunds.md)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from common.access.auth import Caller, Role
from common.database.transactions import transaction
from common.edge.commands.command import command
from common.edge.commands.query import read, read_page
from common.edge.pages.timeline_routes import timeline_router
from common.edge.requests.query import PageQuery
from common.edge.routing.router import Router
from common.errors import Code, Problem
from common.service import Runtime
from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from refunds.domain.refund import RefundStatus
from refunds.payment_gateway.port import ForgedWebhook, GatewayEvent
from refunds.repository.reading import RefundFilter
from refunds.schemas import (
    BookResponse,
    RefundCreate,
    RefundResponse,
    RefundsTimeline,
    Settlement,
    WebhookReceipt,
    book_response,
    refund_response,
)
from refunds.use_cases import provider_events, queries
from refunds.use_cases.requesting import REFUND_NOT_ALLOWED, request_refund
from refunds.use_cases.settlement import settle_refund as settle
from refunds.use_cases.timelines import timeline_subject
from refunds.use_cases.trial_balance import get_trial_balance

WebhookReader: TypeAlias = Callable[[Mapping[str, str], bytes, datetime], GatewayEvent | None]

router = Router("/refunds", tag="Refunds")
timelines = timeline_router(
    timeline_subject,
    returns=RefundsTimeline,
    description="What refunds knows of the order with this id: its refunds with their calls to the payment gateway, "
    "disputes, jobs with their attempts, events with their delivery, and whether the consumer is behind.",
)


def refund_filter(
    order_id: Annotated[UUID | None, Query(description="Refunds of this order.")] = None,
    return_id: Annotated[UUID | None, Query(description="The refund of this return.")] = None,
    status: Annotated[RefundStatus | None, Query(description="Refunds with this status.")] = None,
) -> RefundFilter:
    return RefundFilter(order_id, return_id, status)


@router.route("GET", "", roles=Role.staff(), lists=RefundResponse)
async def list_refunds(
    request: Request, paging: PageQuery, filters: Annotated[RefundFilter, Depends(refund_filter)]
) -> Response:
    """Newest first, each with its latest attempts at the payment gateway, at most 100."""
    return await read_page(request, queries.list_refunds, filters, paging=paging, render=refund_response)


@router.route(
    "POST",
    "",
    roles=[Role.OPS],
    returns=RefundResponse,
    status=201,
    responses={201: {"headers": {"Location": {"$ref": "#/components/headers/Location"}}}, 404: {}},
    errors=[REFUND_NOT_ALLOWED],
    operation_id="createRefund",
)
async def create_refund(request: Request, body: RefundCreate) -> Response:
    """Refund a payment, or a part of it: one that did not fit its order, or what an agreement with the customer says.

    The amount is reserved at once; 409 where less of the payment is refundable. Send an `Idempotency-Key`: then a
    repeated request makes no second refund.
    """
    async with command(request) as run:
        opened = await request_refund(run.connection, Caller.of(request), body.to_domain())
        return await run.answer(opened, refund_response, status=201, new_id=opened.refund.id)


@router.route("GET", "/book", roles=Role.staff(), returns=BookResponse)
async def get_book(
    request: Request,
    order_id: Annotated[UUID | None, Query(description="Only the payments of this order, with their entries.")] = None,
) -> Response:
    """The trial balance of the double-entry book of payments, at one instant: each account of each currency.

    Whenever it is read, the balances of a currency add up to 0."""
    return await read(request, get_trial_balance, order_id, render=book_response)


@router.route("GET", "/{refund_id}", roles=Role.staff(), returns=RefundResponse)
async def get_refund(request: Request, refund_id: UUID) -> Response:
    """The refund with its latest attempts at the payment gateway, at most 100, and their errors."""
    return await read(request, queries.get_refund, refund_id, render=refund_response)


@router.route(
    "POST",
    "/{refund_id}/settlement",
    roles=[Role.OPS],
    returns=RefundResponse,
    errors=[Code.INVALID_STATE_TRANSITION, Code.CONFLICT],
)
async def settle_refund(request: Request, refund_id: UUID, settlement: Settlement) -> Response:
    """Record that the customer was paid in another way, such as by a bank transfer or in the provider's dashboard.

    The refund becomes `SUCCEEDED` with the reference as its transaction id, and is not paid again. 409 while a call to
    the payment gateway may be under way, and for a refund that is paid.
    """
    actor = Caller.of(request).actor
    async with command(request) as run:
        settled = await settle(run.connection, refund_id, settlement.reference, settlement.note, actor)
        return await run.answer(settled, refund_response)


def webhook_router(provider: str, read_webhook: WebhookReader) -> Router:
    """The route of the provider that is configured."""
    webhooks = Router("/webhooks", tag="Refunds")

    @webhooks.route("POST", "/{provider_name}", roles=None, returns=WebhookReceipt, errors=[Code.BAD_REQUEST])
    async def receive_webhook(
        request: Request,
        provider_name: Annotated[str, Path(max_length=50, description="The provider, such as `stripe`.")],
    ) -> Response:
        """Receive an event of the payment provider, which signs the body as it is.

        The event is stored once, and applied afterwards. 400 for a signature that is wrong or older than five minutes.
        """
        if provider_name != provider:
            raise Problem(Code.NOT_FOUND, f"Webhooks of {provider} are received here.")
        try:
            event = read_webhook(request.headers, await request.body(), datetime.now(UTC))
        except ForgedWebhook as forged:
            raise Problem(Code.BAD_REQUEST, f"Not a webhook of the provider: {forged}.") from forged
        if event is not None:
            async with transaction(Runtime.of(request).pool) as connection:
                await provider_events.receive(connection, provider, event, await request.body())
        return JSONResponse({"received": True})

    return webhooks
