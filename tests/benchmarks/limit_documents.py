"""What the limit does in Python: decide, chain the audit, encode event and answer; as little as gives the same rows."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import msgspec

Row = Mapping[str, Any]

LINE = ("id", "product_id", "product_name", "quantity", "unit_price", "tax_rate", "subtotal")
ANSWERED = (
    *("id", "order_number", "customer_id", "customer_email", "customer_name", "buyer_vat_id", "status", "currency"),
    *("tax_amount", "total_amount"),
    *("payment_method", "payment_transaction_id", "refund_status", "refund_transaction_id", "shipping_address"),
    *("billing_address", "tracking_number", "carrier", "created_at", "updated_at", "shipped_at", "delivered_at"),
    *("cancelled_at", "cancellation_reason", "version"),
)
TOLD = (
    *("order_number", "customer_id", "customer_email", "customer_name", "buyer_vat_id", "status", "currency"),
    *("payment_method", "payment_transaction_id", "shipping_address", "billing_address", "tracking_number", "carrier"),
    *("created_at", "updated_at", "paid_at", "shipped_at", "delivered_at", "cancelled_at", "cancellation_reason"),
    *("refund_status", "refund_transaction_id", "version"),
)
PAYMENT = ("reference", "amount", "kind", "reported_at", "refund_status", "refund_transaction_id")
AMOUNTS = ("net_amount", "tax_amount", "total_amount", "captured_amount")
JSONB = ("shipping_address", "billing_address")
CENT = Decimal("0.01")
GENESIS = bytes(32)

encode_answer = msgspec.json.Encoder(decimal_format="number").encode
encode_event = msgspec.json.Encoder().encode


def answer(order: Row, lines: Iterable[Row], payments: Iterable[Row] = ()) -> dict[str, Any]:
    shown = {name: order[name] for name in ANSWERED}
    for name in JSONB:
        shown[name] = msgspec.Raw(shown[name].encode())
    created_at = order["created_at"]
    shown["line_items"] = [{**{name: line[name] for name in LINE}, "created_at": created_at} for line in lines]
    shown["payments"] = [{name: payment[name] for name in PAYMENT} for payment in payments]
    return shown


def event(order: Row, lines: Iterable[Row], payments: Iterable[Row] = ()) -> bytes:
    told = {name: order[name] for name in TOLD}
    for name in JSONB:
        told[name] = msgspec.Raw(told[name].encode())
    for name in AMOUNTS:
        told[name] = None if order[name] is None else order[name].quantize(CENT)
    nets: dict[Decimal, Decimal] = {}
    items = []
    for line in lines:
        item = {name: line[name] for name in LINE}
        item["unit_price"] = item["unit_price"].quantize(CENT)
        item["subtotal"] = subtotal = item["subtotal"].quantize(CENT)
        nets[item["tax_rate"]] = nets.get(item["tax_rate"], 0) + subtotal
        items.append(item)
    told["order_id"] = order["id"]
    told["line_items"] = items
    told["taxes"] = [
        {"rate": rate, "net": net, "tax": (net * rate / 100).quantize(CENT)} for rate, net in sorted(nets.items())
    ]
    told["payment_reference"] = None if order["paid_at"] is None else order["payment_transaction_id"]
    told["late_payment"] = told["surplus_payment"] = told["identified_payment"] = None
    told["payments"] = [
        {**{name: payment[name] for name in PAYMENT}, "amount": payment["amount"].quantize(CENT)}
        for payment in payments
    ]
    return encode_event(told)


def audit_row(
    order_id: UUID, position: int, previous: str | None, new: str, actor: str, at: datetime, head: bytes, *parts: Any
) -> tuple[list[Any], list[Any]]:
    """The arguments of the inserts into `audit` and `audit_details`; the hash is the last of the first."""
    details, ip_address = parts
    salt, audit_id = os.urandom(16), uuid4()
    text = encode_event(details).decode()
    digest = hashlib.sha256(salt + text.encode() + b"\0" + ip_address.encode()).digest()
    said = ["ORDER", str(order_id), position, previous, new, "ACCEPTED", actor, "USER", "API_CALL"]
    covered = encode_event([str(audit_id), *said, at.timestamp(), digest.hex()])
    linked = hashlib.sha256(head + covered).digest()
    row = [audit_id, order_id, position, previous, new, actor, at, digest, head, linked]
    return row, [audit_id, salt, text, ip_address]


def price(asked: dict[str, Any]) -> tuple[list[dict[str, Any]], Decimal, Decimal]:
    """The lines with ids and subtotals, the net amount and the tax; what the contract refuses is refused."""
    lines, nets = [], dict[Decimal, Decimal]()
    for item in asked["line_items"]:
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
