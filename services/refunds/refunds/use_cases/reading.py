"""What staff ask of refunds."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from common.database.statements import Connection
from common.errors import not_found

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


@dataclass(frozen=True, slots=True)
class RefundPage:
    refunds: list[TriedRefund]
    total: int


async def get_refund(connection: Connection, refund_id: UUID) -> TriedRefund:
    """Raises `Problem` NOT_FOUND."""
    refund = await queries.find(connection, refund_id)
    if refund is None:
        raise not_found("refund", refund_id)
    return (await _with_attempts(connection, [refund]))[0]


async def list_refunds(connection: Connection, wanted: RefundFilter, *, limit: int, offset: int) -> RefundPage:
    """Newest first."""
    filters = {name: value for name, value in asdict(wanted).items() if value is not None}
    refunds, total = await queries.page(connection, filters, limit, offset)
    return RefundPage(await _with_attempts(connection, refunds), total)


async def count_refunds(connection: Connection) -> Mapping[str, Any]:
    """For the JSON metrics."""
    counts = await queries.count_by_status(connection)
    by_status = {status.value: counts.get(status, 0) for status in Status}
    return {"refunds": {"total": sum(by_status.values()), "by_status": by_status}}


async def _with_attempts(connection: Connection, refunds: list[Refund]) -> list[TriedRefund]:
    attempts = await queries.attempts_of(connection, REFUND_JOB, refunds)
    return [TriedRefund(refund, attempts[refund.reference]) for refund in refunds]
