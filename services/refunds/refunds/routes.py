"""The HTTP routes of refunds, for staff (docs/reference/refunds.md)."""

from typing import Annotated
from uuid import UUID

from common.access.auth import Role, allow
from common.edge.commands.query import read, read_page
from common.edge.requests.paging import PageQuery, list_of
from common.edge.routing.guarded_route import GuardedRoute
from fastapi import APIRouter, Depends, Request, Response

from refunds.domain import RefundStatus
from refunds.repository.reading import RefundFilter
from refunds.schemas import RefundResponse, refund_response
from refunds.use_cases import queries

router = APIRouter(prefix="/refunds", tags=["Refunds"], route_class=GuardedRoute)


def refund_filter(
    order_id: UUID | None = None, return_id: UUID | None = None, status: RefundStatus | None = None
) -> RefundFilter:
    return RefundFilter(order_id, return_id, status)


@router.get("", operation_id="listRefunds", responses={200: {"model": list_of(RefundResponse)}})
@allow(*Role.staff())
async def list_refunds(
    request: Request, paging: PageQuery, filters: Annotated[RefundFilter, Depends(refund_filter)]
) -> Response:
    """Newest first, each with its latest attempts at the payment gateway, 100 at most."""
    return await read_page(request, queries.list_refunds, filters, paging=paging, render=refund_response)


@router.get("/{refund_id}", operation_id="getRefund", responses={200: {"model": RefundResponse}})
@allow(*Role.staff())
async def get_refund(request: Request, refund_id: UUID) -> Response:
    return await read(request, queries.get_refund, refund_id, render=refund_response)
