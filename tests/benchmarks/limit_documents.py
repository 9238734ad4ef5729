"""The Python part of the limit: audit hash, event, response and price, with the minimum for the same rows."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import msgspec

Row = Mapping[str, Any]

LINE_FIELDS = ("id", "product_id", "product_name", "quantity", "unit_price", "tax_rate", "subtotal")
RESPONSE_FIELDS = (
    *("id", "order_number", "customer_id", "customer_email", "customer_name", "buyer_vat_id", "status", "currency"),
    *("tax_amount", "total_amount"),
    *("payment_method", "payment_transaction_id", "refund_status", "refund_transaction_id", "shipping_address"),
    *("billing_address", "tracking_number", "carrier", "created_at", "updated_at", "shipped_at", "delivered_at"),
    *("cancelled_at", "cancellation_reason", "version"),
)
EVENT_FIELDS = (
    *("order_number", "customer_id", "customer_email", "customer_name", "buyer_vat_id", "status", "currency"),
    *("payment_method", "payment_transaction_id", "shipping_address", "billing_address", "tracking_number", "carrier"),
    *("created_at", "updated_at", "paid_at", "shipped_at", "delivered_at", "cancelled_at", "cancellation_reason"),
    *("refund_status", "refund_transaction_id", "version"),
)
PAYMENT_FIELDS = ("reference", "amount", "kind", "reported_at", "refund_status", "refund_transaction_id")
PAYMENTS_OF_OTHER_EVENTS = ("late_payment", "surplus_payment", "mismatched_payment", "identified_payment")
AMOUNTS = ("net_amount", "tax_amount", "total_amount", "captured_amount")
JSONB = ("shipping_address", "billing_address")
CENT = Decimal("0.01")
GENESIS = bytes(32)

encode_response = msgspec.json.Encoder(decimal_format="number").encode
encode_event = msgspec.json.Encoder().encode


def order_document(order: Row, lines: Iterable[Row], payments: Iterable[Row] = ()) -> dict[str, Any]:
    fields = {name: order[name] for name in RESPONSE_FIELDS}
    for name in JSONB:
        fields[name] = msgspec.Raw(fields[name].encode())
    created_at = order["created_at"]
    fields["external_id"], fields["metadata"] = order.get("external_id"), order.get("metadata") or {}
    fields["line_items"] = [{**{name: line[name] for name in LINE_FIELDS}, "created_at": created_at} for line in lines]
    fields["payments"] = [{name: payment[name] for name in PAYMENT_FIELDS} for payment in payments]
    return fields


def event_payload(order: Row, lines: Iterable[Row], payments: Iterable[Row] = ()) -> bytes:
    fields = {name: order[name] for name in EVENT_FIELDS}
    for name in JSONB:
        fields[name] = msgspec.Raw(fields[name].encode())
    for name in AMOUNTS:
        fields[name] = None if order[name] is None else order[name].quantize(CENT)
    nets: dict[Decimal, Decimal] = {}
    items = []
    for line in lines:
        item = {name: line[name] for name in LINE_FIELDS}
        item["unit_price"] = item["unit_price"].quantize(CENT)
        item["subtotal"] = subtotal = item["subtotal"].quantize(CENT)
        nets[item["tax_rate"]] = nets.get(item["tax_rate"], 0) + subtotal
        items.append(item)
    fields["external_id"], fields["metadata"] = order.get("external_id"), order.get("metadata") or {}
    fields["order_id"] = order["id"]
    fields["line_items"] = items
    fields["taxes"] = [
        {"rate": rate, "net": net, "tax": (net * rate / 100).quantize(CENT)} for rate, net in sorted(nets.items())
    ]
    fields["payment_reference"] = None if order["paid_at"] is None else order["payment_transaction_id"]
    fields.update(dict.fromkeys(PAYMENTS_OF_OTHER_EVENTS), mismatched_payments=())
    fields["payments"] = [
        {**{name: payment[name] for name in PAYMENT_FIELDS}, "amount": payment["amount"].quantize(CENT)}
        for payment in payments
    ]
    return encode_event(fields)


def audit_row(
    order_id: UUID, position: int, previous: str | None, new: str, actor: str, at: datetime, head: bytes, *parts: Any
) -> tuple[list[Any], list[Any]]:
    """The arguments of the inserts into `audit` and `audit_details`; the last argument of the first is the hash."""
    details, ip_address = parts
    salt, audit_id = os.urandom(16), uuid4()
    text = encode_event(details).decode()
    digest = hashlib.sha256(salt + text.encode() + b"\0" + ip_address.encode()).digest()
    entry = ["ORDER", str(order_id), position, previous, new, "ACCEPTED", actor, "USER", "API_CALL"]
    covered = encode_event([str(audit_id), *entry, at.timestamp(), digest.hex()])
    chained = hashlib.sha256(head + covered).digest()
    row = [audit_id, order_id, position, previous, new, actor, at, digest, head, chained]
    return row, [audit_id, salt, text, ip_address]


def price(request: dict[str, Any]) -> tuple[list[dict[str, Any]], Decimal, Decimal]:
    """The lines with ids and subtotals, the net amount and the tax. Rejects what the contract rejects."""
    lines, nets = [], dict[Decimal, Decimal]()
    for item in request["line_items"]:
        price, rate, quantity = (
            Decimal(item["unit_price"]).quantize(CENT),
            Decimal(item["tax_rate"]).quantize(CENT),
            item["quantity"],
        )
        assert quantity > 0
        assert price >= 0
        subtotal = (quantity * price).quantize(CENT)
        nets[rate] = nets.get(rate, Decimal(0)) + subtotal
        lines.append(
            {
                **item,
                "id": uuid4(),
                "product_id": UUID(item["product_id"]),
                "unit_price": price,
                "tax_rate": rate,
                "subtotal": subtotal,
            }
        )
    tax = sum(((net * rate / 100).quantize(CENT) for rate, net in nets.items()), Decimal(0))
    return lines, sum(nets.values(), Decimal(0)), tax
