"""Request and response bodies of returns."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from common.edge.requests.fields import ExactNumber, Line, Lines, OptionalLines, RequestBody
from common.edge.requests.metadata import Metadata, MetadataChanges
from common.operators.timeline_results import Timeline
from pydantic import Field
from typing_extensions import TypedDict

from returns.domain.return_ import NewReturn, RefundStatus, RejectionReason, Return, ReturnStatus


class ReturnCreate(RequestBody):
    order_id: UUID
    reason: Lines = Field(max_length=1000)
    customer_notes: OptionalLines | None = Field(default=None, max_length=2000)
    external_id: Line | None = Field(default=None, max_length=255)
    metadata: Metadata | None = None

    def to_domain(self) -> NewReturn:
        return NewReturn(self.order_id, self.reason, self.customer_notes, self.external_id, self.metadata or {})


class ReturnUpdate(RequestBody):
    """A JSON Merge Patch (RFC 7396): in `metadata`, null deletes a name. `external_id` can be set once."""

    external_id: Line = Field(default_factory=str, max_length=255)
    metadata: MetadataChanges = Field(default_factory=dict)


class ApproveRequest(RequestBody):
    manager_notes: Lines = Field(max_length=1000)


class RejectRequest(RequestBody):
    manager_notes: Lines = Field(max_length=1000)
    rejection_reason: RejectionReason


class ReturnStateChange(RequestBody):
    """APPROVED and REJECTED have routes of their own."""

    new_state: Literal["IN_TRANSIT", "RECEIVED", "COMPLETED"]
    reason: Lines | None = Field(default=None, max_length=500)


class ApprovalResponse(TypedDict):
    approved_by: UUID
    approved_at: datetime


class ReturnResponse(TypedDict):
    """`approvals` of a requested return: those of the approvers who have approved so far, where two are needed."""

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
    external_id: str | None
    metadata: Mapping[str, str]
    approvals: list[ApprovalResponse]
    version: int


def return_response(of: Return) -> dict[str, object]:
    return {name: getattr(of, name) for name in ReturnResponse.__annotations__}


class TimelineReturn(TypedDict):
    """`review_until`: when staff is reminded of a return that nobody has decided about."""

    id: UUID
    status: ReturnStatus
    reason: str
    rejection_reason: RejectionReason | None
    refund_amount: ExactNumber
    currency: str
    payment_reference: str
    refund_status: RefundStatus
    refund_transaction_id: str | None
    created_at: datetime
    updated_at: datetime
    approved_at: datetime | None
    rejected_at: datetime | None
    completed_at: datetime | None
    approvals: int
    approvals_needed: int
    review_until: datetime


class TimelineOrderCopy(TypedDict):
    """The copy of the order; epoch and sequence are those of the event from which it is."""

    status: str
    epoch: int
    sequence: int


class ReturnsTimeline(Timeline):
    opened_return: TimelineReturn | None
    order_copy: TimelineOrderCopy | None
