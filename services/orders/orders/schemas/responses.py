"""Response bodies of orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from common.database.statements import Record
from common.edge.requests.fields import ExactNumber
from common.money import quantize
from common.signed_links import SignedLinks
from typing_extensions import TypedDict

from orders.domain.order import Order
from orders.domain.payment import Payment, PaymentKind
from orders.domain.pricing import OrderLine
from orders.domain.states import OrderStatus, RefundStatus

if TYPE_CHECKING:
    from orders.domain.new_order import Address
else:  # one schema of an address for requests and responses: generators drop one of two with the same title
    from orders.schemas.requests import Address


class LineItemResponse(TypedDict):
    id: UUID
    product_id: UUID
    product_name: str
    quantity: int
    unit_price: ExactNumber
    tax_rate: ExactNumber
    subtotal: ExactNumber
    created_at: datetime


class PaymentResponse(TypedDict):
    reference: str
    amount: ExactNumber
    kind: PaymentKind
    reported_at: datetime
    refund_status: RefundStatus
    refund_transaction_id: str | None


class OrderResponse(TypedDict):
    id: UUID
    order_number: str
    customer_id: UUID
    customer_email: str | None
    customer_name: str | None
    buyer_vat_id: str | None
    status: OrderStatus
    currency: str
    tax_amount: ExactNumber
    total_amount: ExactNumber
    payment_method: str
    payment_transaction_id: str | None
    payments: list[PaymentResponse]
    refund_status: RefundStatus
    refund_transaction_id: str | None
    shipping_address: Address
    billing_address: Address
    line_items: list[LineItemResponse]
    tracking_number: str | None
    carrier: str | None
    created_at: datetime
    updated_at: datetime
    shipped_at: datetime | None
    delivered_at: datetime | None
    cancelled_at: datetime | None
    cancellation_reason: str | None
    external_id: str | None
    metadata: Mapping[str, str]
    version: int


class InvoiceDocument(TypedDict):
    sha256: str
    size_bytes: int
    content_type: str


class InvoiceResponse(TypedDict):
    invoice_id: UUID
    invoice_number: str
    order_id: UUID
    issued_at: datetime
    currency: str
    total_amount: ExactNumber
    document: InvoiceDocument
    download_url: str
    download_expires_at: datetime


def order_response(order: Order) -> OrderResponse:
    # A dict display: for a list of orders, copying the members by their names takes twice the time.
    return {
        "id": order.id,
        "order_number": order.order_number,
        "customer_id": order.customer_id,
        "customer_email": order.customer_email,
        "customer_name": order.customer_name,
        "buyer_vat_id": order.buyer_vat_id,
        "status": order.status,
        "currency": order.currency,
        "tax_amount": order.tax_amount,
        "total_amount": order.total_amount,
        "payment_method": order.payment_method,
        "payment_transaction_id": order.payment_transaction_id,
        "payments": [_payment_response(order, payment) for payment in order.payments],
        "refund_status": order.refund_status,
        "refund_transaction_id": order.refund_transaction_id,
        "shipping_address": order.shipping_address,
        "billing_address": order.billing_address,
        "line_items": [_line_response(order, line) for line in order.lines],
        "tracking_number": order.tracking_number,
        "carrier": order.carrier,
        "created_at": order.created_at,
        "updated_at": order.updated_at,
        "shipped_at": order.shipped_at,
        "delivered_at": order.delivered_at,
        "cancelled_at": order.cancelled_at,
        "cancellation_reason": order.cancellation_reason,
        "external_id": order.external_id,
        "metadata": order.metadata,
        "version": order.version,
    }


def _payment_response(order: Order, payment: Payment) -> PaymentResponse:
    return {
        "reference": payment.reference,
        "amount": payment.amount,
        "kind": payment.kind,
        "reported_at": payment.reported_at,
        "refund_status": order.refund_status_of(payment),
        "refund_transaction_id": payment.refund_transaction_id,
    }


def _line_response(order: Order, line: OrderLine) -> LineItemResponse:
    return {
        "id": line.id,
        "product_id": line.product_id,
        "product_name": line.product_name,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "tax_rate": line.tax_rate,
        "subtotal": line.subtotal,
        "created_at": order.created_at,
    }


@dataclass(frozen=True, slots=True)
class InvoiceLinks:
    """Signed links to invoicing's documents, which expire and need no key. `origin` is invoicing's public address."""

    origin: str
    signed: SignedLinks
    valid_for: timedelta

    def response(self, invoice: Record) -> dict[str, object]:
        """The members of an `InvoiceResponse`."""
        expires_at = datetime.now(UTC).replace(microsecond=0) + self.valid_for
        path = f"/api/v1/invoices/{invoice['invoice_id']}/document"
        members = dict(invoice) | {
            "total_amount": quantize(invoice["total_amount"], invoice["currency"]),
            "download_url": self.origin + self.signed.sign(path, expires_at),
            "download_expires_at": expires_at,
        }
        return {name: members[name] for name in InvoiceResponse.__annotations__}
