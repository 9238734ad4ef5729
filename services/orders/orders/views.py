"""What orders reads of the events that it consumes."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from common.messaging.envelope import EventView

from orders.domain.states import RefundStatus

# What the events of refunds say about a refund.
OF_REFUND: Mapping[str, RefundStatus] = {
    "refund.processing": RefundStatus.PROCESSING,
    "refund.succeeded": RefundStatus.SUCCEEDED,
    "refund.failed": RefundStatus.FAILED,
    "refund.reversed": RefundStatus.REVERSED,
}
DISPUTES = ("dispute.opened", "dispute.won", "dispute.lost")


class RefundView(EventView):
    """View of every `refund.*` event: what is known of a payment's refund. Its state follows from the event's type."""

    refund_id: UUID
    order_id: UUID
    cause: str
    payment_reference: str
    amount: Decimal | None = None
    transaction_id: str | None = None
    error: str | None = None


class DisputeView(EventView):
    """View of every `dispute.*` event: the customer's bank disputes a payment."""

    order_id: UUID
    payment_reference: str
    dispute_id: str
    amount: Decimal
    currency: str
    reason: str | None = None


class InvoiceDocumentView(EventView):
    sha256: str
    size_bytes: int
    content_type: str


class InvoiceView(EventView):
    """View of `invoice.issued`: the invoice and its document."""

    invoice_id: UUID
    invoice_number: str
    order_id: UUID
    currency: str
    total_amount: Decimal
    issued_at: datetime
    document: InvoiceDocumentView
