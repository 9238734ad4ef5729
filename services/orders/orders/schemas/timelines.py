"""Bodies of an order's timeline, and of its explanation (ADR 42)."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from common.access.auth import Role
from common.edge.requests.fields import ExactNumber
from common.operators.timeline_results import Timeline
from typing_extensions import TypedDict

from orders.domain.states import OrderStatus, RefundStatus
from orders.explanation.evidence import PeerTimeline, Silence
from orders.explanation.finding import Finding
from orders.use_cases.explaining import Explanation


class TimelineOrder(TypedDict):
    """`sequence` is that of its last event."""

    id: UUID
    order_number: str
    status: OrderStatus
    refund_status: RefundStatus
    currency: str
    total_amount: ExactNumber
    captured_amount: ExactNumber | None
    customer_email: str | None
    payment_transaction_id: str | None
    created_at: datetime
    paid_at: datetime | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    cancelled_at: datetime | None
    updated_at: datetime
    sequence: int


class TimelinePayment(TypedDict):
    reference: str
    first_reference: str | None
    amount: ExactNumber
    late: bool
    surplus: bool
    mismatched: bool
    reported_at: datetime
    refund_status: RefundStatus | None
    refund_transaction_id: str | None


class TimelineInvoiceCopy(TypedDict):
    invoice_id: UUID
    invoice_number: str
    issued_at: datetime


class OrdersTimeline(Timeline):
    """`order` is null for an order that does not exist, `invoice` until its event was processed."""

    order: TimelineOrder | None
    payments: list[TimelinePayment]
    invoice: TimelineInvoiceCopy | None


class FindingAction(TypedDict):
    """A request that helps, at the service's address. `body` is null where a person has to fill it in, or there is
    none."""

    label: str
    method: Literal["POST", "PATCH", "GET"]
    service: str
    path: str
    body: dict[str, Any] | None
    roles: list[Role]


class FindingResponse(TypedDict):
    """Why the order is where it is; `cause` is stable (docs/reference/explain-causes.md)."""

    cause: str
    severity: Literal["info", "warning", "error"]
    service: str
    headline: str
    since: datetime | None
    next: str
    next_at: datetime | None
    remedy: str | None
    actions: list[FindingAction]


class TimelineEntry(TypedDict):
    """`subject` identifies the row in its service, such as the id of a job."""

    at: datetime
    service: str
    kind: Literal[
        "state", "refused", "event", "job", "attempt", "invoice", "mail", "refund", "call", "alert", "discrepancy"
    ]
    title: str
    detail: str | None
    outcome: str | None
    actor: str | None
    trace_id: str | None
    subject: str | None


class ExplainedDocument(TypedDict):
    label: str
    service: str
    path: str


class AskedService(TypedDict):
    """`error` says why a service did not answer; what only it knows is then missing."""

    name: str
    answered: bool
    error: str | None


class ExplanationResponse(TypedDict):
    """`findings` has the most important first. `state` is `stuck` where nothing goes on without a person, `waiting`
    where a person's next step is the usual one, and `unknown` where a service that knows it did not answer."""

    order_id: UUID
    order_number: str
    status: OrderStatus
    state: Literal["done", "in_progress", "waiting", "stuck", "unknown"]
    findings: list[FindingResponse]
    timeline: list[TimelineEntry]
    documents: list[ExplainedDocument]
    services: list[AskedService]


def explanation_response(explained: Explanation) -> dict[str, object]:
    """The members of an `ExplanationResponse`."""
    order, diagnosis = explained.evidence.orders.order, explained.diagnosis
    return {
        "order_id": order.id,
        "order_number": order.order_number,
        "status": order.status,
        "state": diagnosis.state,
        "findings": [_finding(finding) for finding in diagnosis.findings],
        "timeline": explained.entries,
        "documents": _documents(explained),
        "services": [
            {"name": "orders", "answered": True, "error": None},
            *(_asked(name, answer) for name, answer in explained.answers.items()),
        ],
    }


def _asked(name: str, answer: PeerTimeline | Silence) -> AskedService:
    error = answer.error if isinstance(answer, Silence) else None
    return {"name": name, "answered": error is None, "error": error}


def _finding(finding: Finding) -> dict[str, object]:
    members = {name: getattr(finding, name) for name in FindingResponse.__annotations__}
    return members | {"actions": [asdict(action) for action in finding.actions]}


def _documents(explained: Explanation) -> list[ExplainedDocument]:
    invoice = explained.evidence.orders.invoice
    if invoice is None:
        return []
    path = f"/api/v1/orders/{explained.evidence.orders.order.id}/invoice"
    return [{"label": f"Invoice {invoice.invoice_number}", "service": "orders", "path": path}]
