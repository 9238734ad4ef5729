"""Request and response bodies of returns."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from common.edge.requests.fields import ExactNumber, Lines, OptionalLines, RequestBody
from pydantic import Field
from typing_extensions import TypedDict

from returns.domain.return_ import RefundStatus, RejectionReason, Return, ReturnStatus


class ReturnCreate(RequestBody):
    order_id: UUID
    reason: Lines = Field(max_length=1000)
    customer_notes: OptionalLines | None = Field(default=None, max_length=2000)


class ApproveRequest(RequestBody):
    manager_notes: Lines = Field(max_length=1000)


class RejectRequest(RequestBody):
    manager_notes: Lines = Field(max_length=1000)
    rejection_reason: RejectionReason


class ReturnStateChange(RequestBody):
    """APPROVED and REJECTED have routes of their own."""

    new_state: Literal["IN_TRANSIT", "RECEIVED", "COMPLETED"]
    reason: Lines | None = Field(default=None, max_length=500)


class ReturnResponse(TypedDict):
    id: UUID
    order_id: UUID
    status: ReturnStatus
    reason: str
    customer_notes: str | None
    manager_notes: str | None
    rejection_reason: RejectionReason | None
    refund_amount: ExactNumber
    currency: str
    refund_status: RefundStatus
    refund_transaction_id: str | None
    created_at: datetime
    updated_at: datetime
    approved_at: datetime | None
    rejected_at: datetime | None
    completed_at: datetime | None
    version: int


def return_response(of: Return) -> dict[str, object]:
    return {name: getattr(of, name) for name in ReturnResponse.__annotations__}
