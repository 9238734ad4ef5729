"""The HTTP routes of refunds, for staff (docs/reference/refunds.md)."""

from typing import Annotated
from uuid import UUID

from common.access.auth import Role
from common.edge.commands.query import read, read_page
from common.edge.requests.query import PageQuery
from common.edge.routing.router import Router
from fastapi import Depends, Query, Request, Response

from refunds.domain.refund import RefundStatus
from refunds.repository.reading import RefundFilter
from refunds.schemas import BookResponse, RefundResponse, book_response, refund_response
from refunds.use_cases import queries
from refunds.use_cases.trial_balance import get_trial_balance

router = Router("/refunds", tag="Refunds")


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
