"""What staff are told of refunds. Amounts are JSON numbers, exact inside: see `JsonNumber`."""

from datetime import datetime
from uuid import UUID

from common.edge.commands.perform import JsonNumber
from typing_extensions import TypedDict

from refunds.domain import Cause, Status
from refunds.repository.queries import Attempt
from refunds.use_cases.reading import TriedRefund


class RefundResponse(TypedDict):
    id: UUID
    cause: Cause
    order_id: UUID
    order_number: str
    return_id: UUID | None
    amount: JsonNumber
    currency: str
    payment_reference: str
    status: Status
    transaction_id: str | None
    error: str | None
    created_at: datetime
    completed_at: datetime | None
    attempts: list[Attempt]


def refund_response(tried: TriedRefund) -> RefundResponse:
    refund, claim = tried.refund, tried.refund.claim
    return {
        "id": refund.id,
        "cause": claim.cause,
        "order_id": claim.order_id,
        "order_number": claim.order_number,
        "return_id": claim.return_id,
        "amount": claim.amount,
        "currency": claim.currency,
        "payment_reference": claim.payment_reference,
        "status": refund.status,
        "transaction_id": refund.transaction_id,
        "error": refund.error,
        "created_at": refund.created_at,
        "completed_at": refund.completed_at,
        "attempts": tried.attempts,
    }
