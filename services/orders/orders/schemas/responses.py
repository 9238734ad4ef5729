"""Response bodies of orders."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING
from uuid import UUID

from common.database.statements import Record
from common.edge.requests.fields import ExactNumber
from common.money import quantize
from common.signed_links import SignedLinks
from typing_extensions import TypedDict

from orders.domain.order import Order
from orders.domain.payment import PaymentKind
from orders.domain.pricing import OrderLine
from orders.domain.states import OrderStatus, RefundStatus
from orders.events import payment_states

if TYPE_CHECKING:
    from orders.domain.order import Address
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


_MEMBERS = tuple(OrderResponse.__annotations__)
_LINE = OrderLine.__slots__
_values_of_order = attrgetter(*("lines" if name == "line_items" else name for name in _MEMBERS))
_values_of_line = attrgetter(*_LINE)


def order_response(order: Order) -> dict[str, object]:
    """The members of an `OrderResponse`."""
    members: dict[str, object] = dict(zip(_MEMBERS, _values_of_order(order), strict=True))
    members["payments"] = payment_states(order)
    members["line_items"] = [_line_response(order, line) for line in order.lines]
    return members


def _line_response(order: Order, line: OrderLine) -> dict[str, object]:
    members: dict[str, object] = dict(zip(_LINE, _values_of_line(line), strict=True))
    members["created_at"] = order.created_at
    return members


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
