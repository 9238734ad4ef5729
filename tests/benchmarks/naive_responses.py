"""The response of the naive implementation: pydantic models with floats for amounts."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel


class AddressResponse(BaseModel):
    street: str
    city: str
    state: str
    zip: str
    country: str


class LineResponse(BaseModel):
    id: UUID
    product_id: UUID
    product_name: str
    quantity: int
    unit_price: float
    tax_rate: float
    subtotal: float
    created_at: datetime


class PaymentResponse(BaseModel):
    reference: str
    amount: float
    kind: str
    reported_at: datetime
    refund_status: str
    refund_transaction_id: str | None


class OrderResponse(BaseModel):
    id: UUID
    order_number: str
    customer_id: UUID
    customer_email: str | None
    customer_name: str | None
    buyer_vat_id: str | None
    status: str
    currency: str
    tax_amount: float
    total_amount: float
    payment_method: str
    payment_transaction_id: str | None
    payments: list[PaymentResponse]
    refund_status: str
    refund_transaction_id: str | None
    shipping_address: AddressResponse
    billing_address: AddressResponse
    line_items: list[LineResponse]
    tracking_number: str | None
    carrier: str | None
    created_at: datetime
    updated_at: datetime
    shipped_at: datetime | None
    delivered_at: datetime | None
    cancelled_at: datetime | None
    cancellation_reason: str | None
    external_id: str | None
    metadata: dict[str, str]
    version: int
