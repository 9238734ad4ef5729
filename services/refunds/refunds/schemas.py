"""Response bodies of refunds."""

from datetime import datetime
from uuid import UUID

from common.edge.requests.fields import ExactNumber
from common.jobs.attempts import Attempt
from typing_extensions import TypedDict

from refunds.domain.refund import RefundStatus
from refunds.domain.request import Cause, RefundRequest
from refunds.use_cases.queries import TriedRefund


class RefundResponse(TypedDict):
    id: UUID
    cause: Cause
    order_id: UUID
    order_number: str
    return_id: UUID | None
    amount: ExactNumber
    currency: str
    payment_reference: str
    status: RefundStatus
    transaction_id: str | None
    error: str | None
    created_at: datetime
    completed_at: datetime | None
    attempts: list[Attempt]


def refund_response(tried: TriedRefund) -> dict[str, object]:
    """The members of a `RefundResponse`."""
    refund, request = tried.refund, tried.refund.request
    names = RefundResponse.__annotations__
    members = {name: getattr(request if name in RefundRequest.__slots__ else refund, name) for name in names}
    return members | {"attempts": tried.attempts}
