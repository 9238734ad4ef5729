"""The HTTP routes of orders (docs/reference/orders.md)."""

from functools import partial
from typing import Annotated
from uuid import UUID

from common.access.auth import Caller, Role
from common.access.policy import Verdict
from common.edge.commands.bulk import BulkCommands
from common.edge.commands.command import command
from common.edge.commands.export import EXPORT_RESPONSE, Export, ExportQuery
from common.edge.commands.query import read, read_page
from common.edge.commands.selection import find_selection, store_selection
from common.edge.requests.fields import EmailAddress
from common.edge.requests.query import AmountQuery, CreatedQuery, PageQuery, SearchQuery, TextQuery, comma_separated
from common.edge.requests.selection import Selection, selection_of
from common.edge.routing.router import Router
from common.errors import Code
from fastapi import Depends, Query, Request, Response

from orders.domain.states import OrderStatus
from orders.repository.reading import OrderFilter, OrderSort
from orders.schemas.bulk import BulkStateChange, BulkStateResponse, bulk_response, selection_response
from orders.schemas.requests import CancelRequest, OrderCreate, OrderStateChange, OrderUpdate
from orders.schemas.responses import InvoiceLinks, InvoiceResponse, OrderResponse, order_response
from orders.tables import ENTITY, order_notes
from orders.use_cases import commands, queries, references
from orders.use_cases.bulk import changing_one, select_orders

router = Router("/orders", tag="Orders")


def order_filter(
    created: CreatedQuery,
    customer_id: Annotated[UUID | None, Query(description="Orders of this customer.")] = None,
    status: Annotated[
        OrderStatus | tuple[OrderStatus, ...] | None,
        comma_separated(OrderStatus),
        Query(description="One or more, separated by commas."),
    ] = None,
    order_number: Annotated[TextQuery | None, Query(description="The order with this number.")] = None,
    customer_email: Annotated[EmailAddress | None, Query(description="Case does not matter.")] = None,
    tracking_number: Annotated[TextQuery | None, Query(description="Orders shipped with this number.")] = None,
    payment_reference: Annotated[TextQuery | None, Query(description="Orders with this payment, of any kind.")] = None,
    total_from: Annotated[AmountQuery | None, Query(description="This total or more, in any currency.")] = None,
    total_to: Annotated[AmountQuery | None, Query(description="This total or less.")] = None,
    external_id: Annotated[TextQuery | None, Query(description="Orders with this id of their client.")] = None,
    q: Annotated[
        SearchQuery | None,
        Query(description="Each word begins the order's number, or a word of the customer's name or e-mail address."),
    ] = None,
) -> OrderFilter:
    return OrderFilter(
        customer_id=customer_id,
        status=status,
        created_from=created.earliest,
        created_to=created.latest,
        order_number=order_number,
        customer_email=customer_email,
        tracking_number=tracking_number,
        payment_reference=payment_reference,
        total_from=total_from,
        total_to=total_to,
        external_id=external_id,
        q=q,
    )


Filters = Annotated[OrderFilter, Depends(order_filter)]
Fields = Annotated[Selection, Depends(selection_of(OrderResponse))]


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


@router.route(
    "POST",
    "/bulk-state",
    roles=Role,
    targets=commands.ROLES,
    returns=BulkStateResponse,
    errors=[Code.FORBIDDEN],
    operation_id="updateOrderStates",
)
async def change_states(request: Request, body: BulkStateChange) -> Response:
    """Change the state of up to 500 orders, each as `PATCH /orders/{order_id}/state` does: with the same rules, and in
    a transaction of its own.

    The answer has one result per order; some may be refused. With a `filter`, `dry_run` comes first: its answer names
    the orders, and a `selection` with which the request is repeated. An order that was changed since then is refused.
    Send an `Idempotency-Key`: a repeated request then continues where the first one ended, and has its results.
    """
    caller, change = Caller.of(request), body.change.to_domain()
    versions: dict[UUID, int] = {}
    if body.selection is not None:
        versions = await find_selection(request, body.selection, change)
    step = changing_one(caller, change, versions)
    if body.filter is not None:
        async with command(request) as run:
            selected = await select_orders(run.connection, caller, body.filter.to_domain())
            seen = {each["id"]: each["version"] for each in selected.rows}
            selection = await store_selection(run, seen, change)
            return await run.answer(selection_response(selected.rows, selected.total, selection))
    order_ids = body.order_ids or list(versions)
    bulk: BulkCommands = request.app.state.bulk_commands
    return await bulk.answer(request, order_ids, step, partial(bulk_response, order_ids))


@router.route("GET", "", roles=Role, lists=OrderResponse)
async def list_orders(
    request: Request,
    paging: PageQuery,
    filters: Filters,
    fields: Fields,
    sort: Annotated[
        OrderSort, Query(description="The column, with `-` for its largest value first.")
    ] = OrderSort.NEWEST,
) -> Response:
    """Orders by what is known of them, newest first unless `sort` says otherwise.

    The orders of a page have at most 2,000 lines together: a page may have fewer orders than `limit`.

    `pagination.limit` is then the number of orders on the page. For the next page, add it to `offset`, or use `cursor`.
    """
    query, render = queries.list_orders, fields.of(order_response)
    return await read_page(request, query, Caller.of(request), filters, sort, paging=paging, render=render)


@router.route("GET", "/export", roles=Role, responses={200: EXPORT_RESPONSE}, response_class=Response)
async def export_orders(request: Request, filters: Filters, fields: Fields, options: ExportQuery) -> Response:
    """All orders that meet the conditions, oldest first, as a stream of rows. Each row has a `cursor`.

    A client that lost its connection continues with the cursor of its last row. An export that was not interrupted
    ends with the last chunk of the response.
    """
    return Export(
        request,
        options,
        partial(queries.export_orders, Caller.of(request), filters),
        render=fields.of(order_response),
        members=fields.names or tuple(OrderResponse.__annotations__),
        file_name="orders",
    )


@router.route("GET", "/{order_id}", roles=Role, foreign=Verdict.NOT_FOUND, returns=OrderResponse, versioned=True)
async def get_order(request: Request, order_id: UUID, fields: Fields) -> Response:
    """The order with its lines, payments and refund. A client that is bound to a customer sees the customer's orders
    only: any other order is a 404."""
    return await read(request, queries.get_order, Caller.of(request), order_id, render=fields.of(order_response))


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

    A payment that is reported again with its id gets 200 and the unchanged order. A new payment of a paid or cancelled
    order gets 409, is stored and refunded; one whose `amount` is not the total gets 409, is stored and waits for staff.
    """
    change = body.to_domain()
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
    "changes of references and refunds.",
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
