"""What staff ask of refunds."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from common.database.statements import Connection
from common.errors import Problem
from common.paging import Page, Paging

from refunds.domain import Refund, Status
from refunds.repository import queries
from refunds.repository.queries import Attempt
from refunds.use_cases.commands import REFUND_JOB


@dataclass(frozen=True, slots=True)
class RefundFilter:
    """What a listed refund must match; None matches everything."""

    order_id: UUID | None = None
    return_id: UUID | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class TriedRefund:
    """A refund with all attempts to make it."""

    refund: Refund
    attempts: list[Attempt]


async def get_refund(connection: Connection, refund_id: UUID) -> TriedRefund:
    """Raises `Problem` NOT_FOUND."""
    refund = await queries.find(connection, refund_id)
    if refund is None:
        raise Problem.not_found("refund", refund_id)
    return (await _with_attempts(connection, [refund]))[0]


async def list_refunds(connection: Connection, filters: RefundFilter, paging: Paging) -> Page[TriedRefund]:
    """Newest first."""
    page = await queries.find_page(connection, filters, paging)
    return Page(await _with_attempts(connection, page.rows), page.total)


async def _with_attempts(connection: Connection, refunds: Sequence[Refund]) -> list[TriedRefund]:
    attempts = await queries.attempts_of(connection, REFUND_JOB, refunds)
    return [TriedRefund(refund, attempts[refund.reference]) for refund in refunds]
