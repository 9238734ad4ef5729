"""The HTTP routes of orders (docs/reference/orders.md)."""

from typing import Annotated
from uuid import UUID

from common.access.auth import Caller, Role
from common.access.policy import Verdict
from common.edge.commands.command import command
from common.edge.commands.query import read, read_page
from common.edge.requests.query import CreatedQuery, PageQuery
from common.edge.routing.router import Router
from common.errors import Code
from fastapi import Depends, Query, Request, Response

from orders.domain.states import OrderStatus
from orders.repository.reading import OrderFilter
from orders.schemas.requests import CancelRequest, OrderCreate, OrderStateChange, OrderUpdate
from orders.schemas.responses import InvoiceLinks, InvoiceResponse, OrderResponse, order_response
from orders.tables import ENTITY, order_notes
from orders.use_cases import commands, queries, references
from orders.use_cases.commands import StateChange

router = Router("/orders", tag="Orders")


def order_filter(
    created: CreatedQuery,
    customer_id: Annotated[UUID | None, Query(description="Orders of this customer.")] = None,
    status: Annotated[OrderStatus | None, Query(description="Orders with this status.")] = None,
) -> OrderFilter:
    return OrderFilter(customer_id, status, created.earliest, created.latest)


@router.route(
    "POST",
    "",
    roles=[Role.CLIENT],
    foreign=Verdict.FORBIDDEN,
    returns=OrderResponse,
    status=201,
    operation_id="createOrder",
)
async def place_order(request: Request, body: OrderCreate) -> Response:
    """Place an order; it waits for its payment. Totals and tax are computed from the lines.

    A client whose key is bound to a customer places orders for this customer only. Send an `Idempotency-Key`: then a
    repeated request places no second order.
    """
    async with command(request) as run:
        order = await commands.place_order(run.connection, Caller.of(request), body.to_domain())
        return await run.answer(order, order_response, status=201, new_id=order.id)


@router.route("GET", "", roles=Role, lists=OrderResponse)
async def list_orders(
    request: Request, paging: PageQuery, filters: Annotated[OrderFilter, Depends(order_filter)]
) -> Response:
    """Newest first. The orders of a page have at most 2,000 lines together: a page may have fewer orders than `limit`.

    `pagination.limit` is then the number of orders on the page. For the next page, add it to `offset`.
    """
    return await read_page(
        request, queries.list_orders, Caller.of(request), filters, paging=paging, render=order_response
    )


@router.route("GET", "/{order_id}", roles=Role, foreign=Verdict.NOT_FOUND, returns=OrderResponse, versioned=True)
async def get_order(request: Request, order_id: UUID) -> Response:
    """The order with its lines, payments and refund. A client that is bound to a customer sees the customer's orders
    only: any other order is a 404."""
    return await read(request, queries.get_order, Caller.of(request), order_id, render=order_response)


@router.route(
    "PATCH",
    "/{order_id}",
    roles=[Role.CLIENT, Role.MANAGER],
    foreign=Verdict.NOT_FOUND,
    returns=OrderResponse,
    versioned=True,
)
async def update_order(request: Request, order_id: UUID, body: OrderUpdate) -> Response:
    """Set `external_id` where it is null, and change `metadata`. The next event of the order has both."""
    async with command(request) as run:
        order = await references.amend_order(
            run.connection, Caller.of(request), order_id, body.external_id, body.metadata, run.precondition
        )
        return await run.answer(order, order_response)


@router.route(
    "PATCH",
    "/{order_id}/state",
    roles=Role,
    foreign=Verdict.NOT_FOUND,
    targets=commands.ROLES,
    returns=OrderResponse,
    versioned=True,
    errors=[Code.FORBIDDEN, Code.INVALID_STATE_TRANSITION],
    operation_id="updateOrderState",
)
async def change_state(request: Request, order_id: UUID, body: OrderStateChange) -> Response:
    """The role `payments` may set PAID, `warehouse` the three states after it, `client` CANCELLED, `manager` all.

    A payment that is reported again with the same id is answered with 200 and the unchanged order. A new payment for an
    order that is already paid or cancelled is answered with 409; it is stored under `payments` and refunded.
    """
    change = StateChange(
        body.new_state, body.reason or "", body.payment_transaction_id, body.tracking_number, body.carrier
    )
    async with command(request) as run:
        order = await commands.change_state(run.connection, Caller.of(request), order_id, change, run.precondition)
        return await run.answer(order, order_response)


@router.route(
    "POST",
    "/{order_id}/cancel",
    roles=[Role.CLIENT, Role.MANAGER],
    foreign=Verdict.NOT_FOUND,
    returns=OrderResponse,
    versioned=True,
    errors=[Code.INVALID_STATE_TRANSITION],
)
async def cancel_order(request: Request, order_id: UUID, body: CancelRequest) -> Response:
    """Cancel an order that is not in the warehouse yet, with a reason. The payment of a paid order is refunded;
    `refund_status` shows the result."""
    async with command(request) as run:
        order = await commands.cancel_order(run.connection, Caller.of(request), order_id, body.reason, run.precondition)
        return await run.answer(order, order_response)


router.history(
    "order_id",
    ENTITY,
    queries.require_visible,
    operation_id="getOrderHistory",
    description="Accepted transitions, oldest first; `include=all` adds the creation, the refused attempts and the "
    "changes of references.",
)
router.notes("order_id", order_notes, queries.require_visible, entity="Order")


@router.route(
    "GET",
    "/{order_id}/invoice",
    roles=Role,
    foreign=Verdict.NOT_FOUND,
    returns=InvoiceResponse,
    operation_id="getOrderInvoice",
)
async def get_invoice(request: Request, order_id: UUID) -> Response:
    """The invoice, with a link to its PDF that expires after some minutes; 404 until the invoice is issued."""
    links: InvoiceLinks = request.app.state.invoice_links
    return await read(request, queries.get_invoice, Caller.of(request), order_id, render=links.response)
