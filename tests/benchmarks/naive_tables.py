"""The tables of the product as classes of SQLAlchemy's ORM."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from common.database import tables as infrastructure
from orders import tables
from orders.domain.pricing import OrderLine
from orders.events import OrderData, PaymentStateData
from sqlalchemy.orm import DeclarativeBase, Mapped, relationship


class Row(DeclarativeBase):
    metadata = tables.metadata


class LineRow(Row):
    __table__ = tables.order_lines

    id: Mapped[UUID]
    product_id: Mapped[UUID]
    product_name: Mapped[str]
    quantity: Mapped[int]
    unit_price: Mapped[Decimal]
    tax_rate: Mapped[Decimal]
    subtotal: Mapped[Decimal]


class PaymentRow(Row):
    __table__ = tables.payments

    late: Mapped[bool]
    surplus: Mapped[bool]
    refund_status: Mapped[str | None]

    def as_response(self) -> dict[str, Any]:
        kind = "LATE" if self.late else "SURPLUS" if self.surplus else "CAPTURED"
        unpaid_status = "NONE" if kind == "CAPTURED" else "PENDING"
        fields = {name: value for name, value in columns_of(self).items() if name in PaymentStateData.model_fields}
        return {**fields, "kind": kind, "refund_status": self.refund_status or unpaid_status}


class OrderRow(Row):
    __table__ = tables.orders

    id: Mapped[UUID]
    order_number: Mapped[str]
    customer_id: Mapped[UUID]
    status: Mapped[str]
    currency: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    shipped_at: Mapped[datetime | None]
    payment_transaction_id: Mapped[str | None]
    tracking_number: Mapped[str | None]
    carrier: Mapped[str | None]
    version: Mapped[int]
    sequence: Mapped[int]
    audit_position: Mapped[int]
    audit_hash: Mapped[bytes]
    lines: Mapped[list[LineRow]] = relationship(order_by=tables.order_lines.c.position, lazy="selectin")
    payments: Mapped[list[PaymentRow]] = relationship(order_by=tables.payments.c.reported_at, lazy="selectin")

    def as_response(self) -> dict[str, Any]:
        lines = [{**columns_of(line), "created_at": self.created_at} for line in self.lines]
        return {**columns_of(self), "metadata": {}, "line_items": lines, "payments": self.paid}

    def as_event(self) -> dict[str, Any]:
        fields = {name: value for name, value in columns_of(self).items() if name in OrderData.model_fields}
        return {**fields, "order_id": self.id, "metadata": {}, "line_items": self.lines, "payments": self.paid}

    @property
    def paid(self) -> list[dict[str, Any]]:
        return [payment.as_response() for payment in self.payments]

    @property
    def priced_lines(self) -> list[OrderLine]:
        return [OrderLine(**{name: getattr(line, name) for name in OrderLine.__slots__}) for line in self.lines]


def columns_of(row: Row) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.c}


class CountChange(Row):
    __table__ = tables.order_counts.changes


class Audit(Row):
    __table__ = infrastructure.audit


class AuditDetails(Row):
    __table__ = infrastructure.audit_details


class StoredResponse(Row):
    __table__ = infrastructure.idempotency_keys

    status: Mapped[int]
    body: Mapped[bytes]
