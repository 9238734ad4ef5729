"""Refunds over HTTP, for staff."""

from typing import Annotated
from uuid import UUID

from common.access.auth import STAFF, allow
from common.edge.requests.fields import Limit, Offset
from common.edge.routing.http import GuardedRoute, read
from fastapi import APIRouter, Depends, Request, Response

from refunds.domain import Status
from refunds.schemas import RefundListResponse, RefundResponse, refund_list_response, refund_response
from refunds.use_cases import reading
from refunds.use_cases.reading import RefundFilter

router = APIRouter(prefix="/refunds", tags=["Refunds"], route_class=GuardedRoute)


def refund_filter(
    order_id: UUID | None = None, return_id: UUID | None = None, status: Status | None = None
) -> RefundFilter:
    return RefundFilter(order_id, return_id, status)


@router.get("", operation_id="listRefunds", responses={200: {"model": RefundListResponse}})
@allow(*STAFF)
async def list_refunds(
    request: Request, wanted: Annotated[RefundFilter, Depends(refund_filter)], limit: Limit = 20, offset: Offset = 0
) -> Response:
    """Newest first, each with all its attempts at the payment gateway."""
    return await read(
        request,
        lambda connection: reading.list_refunds(connection, wanted, limit=limit, offset=offset),
        render=lambda page: refund_list_response(page, limit=limit, offset=offset),
    )


@router.get("/{refund_id}", operation_id="getRefund", responses={200: {"model": RefundResponse}})
@allow(*STAFF)
async def get_refund(request: Request, refund_id: UUID) -> Response:
    return await read(request, lambda connection: reading.get_refund(connection, refund_id), render=refund_response)
