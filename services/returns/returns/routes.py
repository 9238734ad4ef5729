"""The HTTP routes of returns (docs/reference/returns.md)."""

from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from common.access.auth import Caller, Role
from common.access.policy import Verdict
from common.edge.commands.command import command
from common.edge.commands.export import EXPORT_RESPONSE, Export, ExportQuery
from common.edge.commands.query import read, read_page
from common.edge.requests.query import AmountQuery, CreatedQuery, PageQuery, SearchQuery, TextQuery, comma_separated
from common.edge.requests.selection import Selection, selection_of
from common.edge.routing.router import Router
from common.errors import Code
from fastapi import Depends, Query, Request, Response

from returns.domain.four_eyes import FourEyes
from returns.domain.return_ import NewReturn, ReturnStatus
from returns.domain.review import ReviewPolicy
from returns.repository.reading import ReturnFilter, ReturnSort
from returns.schemas import (
    ApproveRequest,
    RejectRequest,
    ReturnCreate,
    ReturnResponse,
    ReturnStateChange,
    ReturnUpdate,
    return_response,
)
from returns.tables import ENTITY, return_notes
from returns.use_cases import commands, opening, queries, references
from returns.use_cases.delivery_wait import DeliveryWait
from returns.use_cases.opening import NotDeliveredYet

router = Router("/returns", tag="Returns")


def return_filter(
    created: CreatedQuery,
    status: Annotated[
        ReturnStatus | tuple[ReturnStatus, ...] | None,
        comma_separated(ReturnStatus),
        Query(description="One or more, separated by commas."),
    ] = None,
    order_id: Annotated[UUID | None, Query(description="The return of this order.")] = None,
    refund_from: Annotated[AmountQuery | None, Query(description="This amount or more, in any currency.")] = None,
    refund_to: Annotated[AmountQuery | None, Query(description="This amount or less.")] = None,
    external_id: Annotated[TextQuery | None, Query(description="Returns with this id of their client.")] = None,
    q: Annotated[
        SearchQuery | None,
        Query(description="Each word begins the order's number, or a word of the customer's name or e-mail address."),
    ] = None,
) -> ReturnFilter:
    return ReturnFilter(
        order_id=order_id,
        status=status,
        created_from=created.earliest,
        created_to=created.latest,
        refund_from=refund_from,
        refund_to=refund_to,
        external_id=external_id,
        q=q,
    )


Filters = Annotated[ReturnFilter, Depends(return_filter)]
Fields = Annotated[Selection, Depends(selection_of(ReturnResponse))]


@router.route(
    "POST",
    "",
    roles=[Role.CLIENT],
    foreign=Verdict.NOT_FOUND,
    returns=ReturnResponse,
    status=201,
    responses={404: {}},
    errors=[opening.RETURN_NOT_ALLOWED],
    operation_id="createReturn",
)
async def open_return(request: Request, body: ReturnCreate) -> Response:
    """Open a return of a delivered order, within the return window; an order can be returned once.

    An order that is not known to be delivered is refused only after a wait of two seconds for its latest events."""
    new = body.to_domain()
    delivery_wait: DeliveryWait = request.app.state.delivery_wait
    caller = Caller.of(request)
    try:
        async with delivery_wait.first_look.place_of(caller.id):
            return await _open_return(request, new)
    except NotDeliveredYet as not_yet:
        await delivery_wait.until_delivered(new.order_id, caller.bound_to, caller.id)
        async with delivery_wait.second_look.place_of(caller.id):
            return await _open_return(request, new, not_yet.arrived_at)


async def _open_return(request: Request, new: NewReturn, waited_since: datetime | None = None) -> Response:
    window_days: int = request.app.state.return_window_days
    review: ReviewPolicy = request.app.state.review_policy
    async with command(request) as run:
        opened_return = await opening.open_return(
            run.connection, Caller.of(request), new, window_days, review, waited_since
        )
        return await run.answer(opened_return, return_response, status=201, new_id=opened_return.id)


@router.route("GET", "", roles=Role, lists=ReturnResponse)
async def list_returns(
    request: Request,
    paging: PageQuery,
    filters: Filters,
    fields: Fields,
    sort: Annotated[
        ReturnSort, Query(description="The column, with `-` for its largest value first.")
    ] = ReturnSort.NEWEST,
) -> Response:
    """Returns by their status, order, amount, time or customer, newest first unless `sort` says otherwise."""
    query, render = queries.list_returns, fields.of(return_response)
    return await read_page(request, query, Caller.of(request), filters, sort, paging=paging, render=render)


@router.route("GET", "/export", roles=Role, responses={200: EXPORT_RESPONSE}, response_class=Response)
async def export_returns(request: Request, filters: Filters, fields: Fields, options: ExportQuery) -> Response:
    """All returns that meet the conditions, oldest first, as a stream of rows. Each row has a `cursor`.

    A client that lost its connection continues with the cursor of its last row. An export that was not interrupted
    ends with the last chunk of the response.
    """
    return Export(
        request,
        options,
        partial(queries.export_returns, Caller.of(request), filters),
        render=fields.of(return_response),
        members=fields.names or tuple(ReturnResponse.__annotations__),
        file_name="returns",
    )


@router.route("GET", "/{return_id}", roles=Role, foreign=Verdict.NOT_FOUND, returns=ReturnResponse, versioned=True)
async def get_return(request: Request, return_id: UUID, fields: Fields) -> Response:
    """The return with its refund. A client that is bound to a customer sees the customer's returns only: any other
    return is a 404."""
    return await read(request, queries.get_return, Caller.of(request), return_id, render=fields.of(return_response))


@router.route(
    "PATCH",
    "/{return_id}",
    roles=[Role.CLIENT, Role.MANAGER],
    foreign=Verdict.NOT_FOUND,
    returns=ReturnResponse,
    versioned=True,
)
async def update_return(request: Request, return_id: UUID, body: ReturnUpdate) -> Response:
    """Set `external_id` where it is null, and change `metadata`. The next event of the return has both."""
    async with command(request) as run:
        amended_return = await references.amend_return(
            run.connection, Caller.of(request), return_id, body.external_id, body.metadata, run.precondition
        )
        return await run.answer(amended_return, return_response)


@router.route(
    "PATCH",
    "/{return_id}/approve",
    roles=[Role.MANAGER],
    returns=ReturnResponse,
    versioned=True,
    errors=[Code.INVALID_STATE_TRANSITION],
)
async def approve_return(request: Request, return_id: UUID, body: ApproveRequest) -> Response:
    """Approve a requested return; the customer may then send the goods. Not for the one who opened it.

    Above a configured amount two different approvers are needed: the first approval is listed in `approvals`, and the
    return stays REQUESTED.
    """
    four_eyes: FourEyes = request.app.state.four_eyes
    async with command(request) as run:
        approved_return = await commands.approve_return(
            run.connection, Caller.of(request), return_id, body.manager_notes, four_eyes, run.precondition
        )
        return await run.answer(approved_return, return_response)


@router.route(
    "PATCH",
    "/{return_id}/reject",
    roles=[Role.MANAGER],
    returns=ReturnResponse,
    versioned=True,
    errors=[Code.INVALID_STATE_TRANSITION],
)
async def reject_return(request: Request, return_id: UUID, body: RejectRequest) -> Response:
    """Reject a requested return, with notes and a reason. The order cannot be returned again. Not for the one who
    opened it."""
    async with command(request) as run:
        rejected_return = await commands.reject_return(
            run.connection,
            Caller.of(request),
            return_id,
            body.manager_notes,
            body.rejection_reason,
            run.precondition,
        )
        return await run.answer(rejected_return, return_response)


@router.route(
    "PATCH",
    "/{return_id}/state",
    roles=[Role.CLIENT, Role.WAREHOUSE, Role.MANAGER],
    foreign=Verdict.NOT_FOUND,
    targets={state: commands.ROLES[state] for state in commands.STEPS},
    returns=ReturnResponse,
    versioned=True,
    errors=[Code.INVALID_STATE_TRANSITION],
    operation_id="updateReturnState",
)
async def change_return_state(request: Request, return_id: UUID, body: ReturnStateChange) -> Response:
    """Move an approved return to its next state. A client may only set IN_TRANSIT. COMPLETED starts the refund;
    `refund_status` shows the result."""
    async with command(request) as run:
        changed_return = await commands.change_return_state(
            run.connection,
            Caller.of(request),
            return_id,
            ReturnStatus(body.new_state),
            body.reason,
            run.precondition,
        )
        return await run.answer(changed_return, return_response)


router.history(
    "return_id",
    ENTITY,
    queries.require_visible,
    operation_id="getReturnHistory",
    description="Accepted transitions, oldest first; `include=all` adds the opening, the refused attempts and the "
    "changes of references and refunds.",
)
router.notes("return_id", return_notes, queries.require_visible, entity="Return")
