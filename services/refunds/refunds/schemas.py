"""Response bodies of refunds."""

from datetime import datetime
from uuid import UUID

from common.edge.requests.fields import ExactNumber
from common.jobs.attempts import Attempt
from typing_extensions import TypedDict

from refunds.domain.refund import RefundStatus
from refunds.domain.request import Cause
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


def refund_response(tried: TriedRefund) -> RefundResponse:
    refund, request = tried.refund, tried.refund.request
    return {
        "id": refund.id,
        "cause": request.cause,
        "order_id": request.order_id,
        "order_number": request.order_number,
        "return_id": request.return_id,
        "amount": request.amount,
        "currency": request.currency,
        "payment_reference": request.payment_reference,
        "status": refund.status,
        "transaction_id": refund.transaction_id,
        "error": refund.error,
        "created_at": refund.created_at,
        "completed_at": refund.completed_at,
        "attempts": tried.attempts,
    }
