"""Returns over HTTP (docs/reference/returns.md)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from common.access.auth import Role, allow
from common.audit.trail import HistoryWanted
from common.edge.contract.openapi import error_response
from common.edge.pages.history import HistoryResponse, history_response, history_wanted
from common.edge.requests.fields import Instant, Limit, Offset
from common.edge.routing.http import GuardedRoute, caller_of, perform, read
from fastapi import APIRouter, Depends, Query, Request, Response

from returns import use_cases
from returns.domain import ReturnStatus
from returns.repository.reading import ReturnFilter
from returns.schemas import (
    ApproveRequest,
    RejectRequest,
    ReturnCreate,
    ReturnListResponse,
    ReturnResponse,
    StateChangeRequest,
    return_list_response,
    return_response,
)
from returns.use_cases import DeliveryWait, NotDeliveredYet
from returns.use_cases.visibility import bound_to

router = APIRouter(prefix="/returns", tags=["Returns"], route_class=GuardedRoute)


def return_filter(
    status: ReturnStatus | None = None,
    order_id: UUID | None = None,
    created_from: Annotated[Instant | None, Query(description="Created at this time or later.")] = None,
    created_to: Annotated[Instant | None, Query(description="Created at this time or before.")] = None,
) -> ReturnFilter:
    return ReturnFilter(None, order_id, status, created_from, created_to)


@router.post(
    "",
    operation_id="createReturn",
    status_code=201,
    responses={201: {"model": ReturnResponse}, 404: error_response(404)},
)
@allow(Role.CLIENT)
async def open_return(request: Request, body: ReturnCreate) -> Response:
    """Waits for up to two seconds for news of an order that is not known to be delivered, before it is refused."""
    caller, new = caller_of(request), body.to_new_return()
    window_days: int = request.app.state.return_window_days
    delivery_wait: DeliveryWait = request.app.state.delivery_wait

    async def attempt(waited_since: datetime | None = None) -> Response:
        return await perform(
            request,
            lambda connection: use_cases.open_return(
                connection, caller, new, window_days=window_days, waited_since=waited_since
            ),
            render=return_response,
            status=201,
            headers=lambda opened: {"Location": f"{request.url.path}/{opened.id}"},
        )

    try:
        async with delivery_wait.first_look:
            return await attempt()
    except NotDeliveredYet as not_yet:
        await delivery_wait.until_delivered(new.order_id, bound_to(caller))
        async with delivery_wait.second_look:
            return await attempt(not_yet.arrived_at)


@router.get("", operation_id="listReturns", responses={200: {"model": ReturnListResponse}})
@allow(*Role)
async def list_returns(
    request: Request, wanted: Annotated[ReturnFilter, Depends(return_filter)], limit: Limit = 20, offset: Offset = 0
) -> Response:
    """Newest first."""
    return await read(
        request,
        lambda connection: use_cases.list_returns(connection, caller_of(request), wanted, limit=limit, offset=offset),
        render=lambda page: return_list_response(page, limit=limit, offset=offset),
    )


@router.get("/{return_id}", operation_id="getReturn", responses={200: {"model": ReturnResponse}})
@allow(*Role)
async def get_return(request: Request, return_id: UUID) -> Response:
    return await read(
        request,
        lambda connection: use_cases.get_return(connection, caller_of(request), return_id),
        render=return_response,
    )


@router.patch("/{return_id}/approve", operation_id="approveReturn", responses={200: {"model": ReturnResponse}})
@allow(Role.MANAGER)
async def approve_return(request: Request, return_id: UUID, body: ApproveRequest) -> Response:
    return await perform(
        request,
        lambda connection: use_cases.approve_return(connection, caller_of(request), return_id, body.manager_notes),
        render=return_response,
    )


@router.patch("/{return_id}/reject", operation_id="rejectReturn", responses={200: {"model": ReturnResponse}})
@allow(Role.MANAGER)
async def reject_return(request: Request, return_id: UUID, body: RejectRequest) -> Response:
    """The order cannot be returned again."""
    return await perform(
        request,
        lambda connection: use_cases.reject_return(
            connection, caller_of(request), return_id, body.manager_notes, body.rejection_reason
        ),
        render=return_response,
    )


@router.patch("/{return_id}/state", operation_id="updateReturnState", responses={200: {"model": ReturnResponse}})
@allow(Role.CLIENT, Role.WAREHOUSE, Role.MANAGER)
async def change_return_state(request: Request, return_id: UUID, body: StateChangeRequest) -> Response:
    """A client may say that its return is IN_TRANSIT. COMPLETED starts the refund; see `refund_status` for its end."""
    return await perform(
        request,
        lambda connection: use_cases.change_return_state(
            connection, caller_of(request), return_id, ReturnStatus(body.new_state), body.reason
        ),
        render=return_response,
    )


@router.get("/{return_id}/history", operation_id="getReturnHistory", responses={200: {"model": HistoryResponse}})
@allow(*Role)
async def get_history(
    request: Request, return_id: UUID, wanted: Annotated[HistoryWanted, Depends(history_wanted)]
) -> Response:
    """Accepted transitions, oldest first; `include=all` adds the opening and the refused attempts."""
    return await read(
        request,
        lambda connection: use_cases.get_history(connection, caller_of(request), return_id, wanted),
        render=lambda page: history_response(page, wanted),
    )
