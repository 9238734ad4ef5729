"""Orders over HTTP (docs/reference/orders.md)."""

from typing import Annotated
from uuid import UUID

from common.access.auth import Role, allow
from common.audit.trail import HistoryWanted
from common.edge.pages.history import HistoryResponse, history_response, history_wanted
from common.edge.requests.fields import Instant, Limit, Offset
from common.edge.routing.http import GuardedRoute, caller_of, perform, read
from fastapi import APIRouter, Depends, Query, Request, Response

from orders import use_cases
from orders.domain import OrderStatus
from orders.repository.reading import OrderFilter
from orders.schemas.requests import CancelRequest, OrderCreate, StateChangeRequest
from orders.schemas.responses import (
    InvoiceLinks,
    InvoiceResponse,
    OrderListResponse,
    OrderResponse,
    order_list_response,
    order_response,
)

router = APIRouter(prefix="/orders", tags=["Orders"], route_class=GuardedRoute)


def order_filter(
    customer_id: UUID | None = None,
    status: OrderStatus | None = None,
    created_from: Annotated[Instant | None, Query(description="Created at this time or later.")] = None,
    created_to: Annotated[Instant | None, Query(description="Created at this time or before.")] = None,
) -> OrderFilter:
    return OrderFilter(customer_id, status, created_from, created_to)


@router.post("", operation_id="createOrder", status_code=201, responses={201: {"model": OrderResponse}})
@allow(Role.CLIENT)
async def place_order(request: Request, body: OrderCreate) -> Response:
    return await perform(
        request,
        lambda connection: use_cases.place_order(connection, caller_of(request), body.to_domain()),
        render=order_response,
        status=201,
        headers=lambda order: {"Location": f"{request.url.path}/{order.id}"},
    )


@router.get("", operation_id="listOrders", responses={200: {"model": OrderListResponse}})
@allow(*Role)
async def list_orders(
    request: Request, wanted: Annotated[OrderFilter, Depends(order_filter)], limit: Limit = 20, offset: Offset = 0
) -> Response:
    """Newest first. A page ends before it has 2,000 lines of orders: it may have fewer orders than `limit` asked for.

    `pagination.limit` is then the number of orders given. Add it, and not the limit that was asked for, to `offset`.
    """
    return await read(
        request,
        lambda connection: use_cases.list_orders(connection, caller_of(request), wanted, limit=limit, offset=offset),
        render=lambda page: order_list_response(page, limit=limit, offset=offset),
    )


@router.get("/{order_id}", operation_id="getOrder", responses={200: {"model": OrderResponse}})
@allow(*Role)
async def get_order(request: Request, order_id: UUID) -> Response:
    return await read(
        request,
        lambda connection: use_cases.get_order(connection, caller_of(request), order_id),
        render=order_response,
    )


@router.patch("/{order_id}/state", operation_id="updateOrderState", responses={200: {"model": OrderResponse}})
@allow(*Role)
async def change_state(request: Request, order_id: UUID, body: StateChangeRequest) -> Response:
    """Which role may ask for which state: payments PAID, warehouse the three after it, client and manager CANCELLED.

    A payment that is reported again by its id is answered with 200 and the order as it is; a new one for an order that
    is paid or cancelled with 409, and it is recorded under `payments` and refunded.
    """
    return await perform(
        request,
        lambda connection: use_cases.change_state(connection, caller_of(request), order_id, body.to_domain()),
        render=order_response,
    )


@router.post("/{order_id}/cancel", operation_id="cancelOrder", responses={200: {"model": OrderResponse}})
@allow(Role.CLIENT, Role.MANAGER)
async def cancel_order(request: Request, order_id: UUID, body: CancelRequest) -> Response:
    """What was paid for the order is paid back; `refund_status` tells when."""
    return await perform(
        request,
        lambda connection: use_cases.cancel_order(connection, caller_of(request), order_id, body.reason),
        render=order_response,
    )


@router.get("/{order_id}/history", operation_id="getOrderHistory", responses={200: {"model": HistoryResponse}})
@allow(*Role)
async def get_history(
    request: Request, order_id: UUID, wanted: Annotated[HistoryWanted, Depends(history_wanted)]
) -> Response:
    """Accepted transitions, oldest first; `include=all` adds the creation and the refused attempts."""
    return await read(
        request,
        lambda connection: use_cases.get_history(connection, caller_of(request), order_id, wanted),
        render=lambda page: history_response(page, wanted),
    )


@router.get("/{order_id}/invoice", operation_id="getOrderInvoice", responses={200: {"model": InvoiceResponse}})
@allow(*Role)
async def get_invoice(request: Request, order_id: UUID) -> Response:
    """Where the invoice's PDF can be had for some minutes; 404 until it is issued."""
    links: InvoiceLinks = request.app.state.invoice_links
    return await read(
        request,
        lambda connection: use_cases.get_invoice(connection, caller_of(request), order_id),
        render=links.response,
    )
