"""Queries of staff: refunds with their attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from common.database.statements import Connection
from common.errors import Problem
from common.jobs.attempts import Attempt, attempts_of
from common.paging import Page, Paging

from refunds.domain.refund import Refund
from refunds.repository import reading
from refunds.repository.reading import RefundFilter
from refunds.use_cases.jobs import REFUND_JOB


@dataclass(frozen=True, slots=True)
class TriedRefund:
    """A refund and the latest attempts to make it."""

    refund: Refund
    attempts: list[Attempt]


async def get_refund(connection: Connection, refund_id: UUID) -> TriedRefund:
    """Raises `Problem` NOT_FOUND."""
    refund = await reading.find(connection, refund_id)
    if refund is None:
        raise Problem.not_found("refund", refund_id)
    return (await _with_attempts(connection, [refund]))[0]


async def list_refunds(connection: Connection, filters: RefundFilter, paging: Paging) -> Page[TriedRefund]:
    """Newest first."""
    page = await reading.find_page(connection, filters, paging)
    return Page(await _with_attempts(connection, page.rows), page.total)


async def _with_attempts(connection: Connection, refunds: Sequence[Refund]) -> list[TriedRefund]:
    attempts = await attempts_of(connection, REFUND_JOB, [refund.reference for refund in refunds])
    return [TriedRefund(refund, attempts[refund.reference]) for refund in refunds]
