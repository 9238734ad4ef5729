"""Ada's order in the data of `order.shipped`: 68.30 EUR net, 10.76 EUR tax in two rates."""

from typing import Any
from uuid import uuid4

from support.example.ada import ADDRESS, CUSTOMER, NET, ORDER_NUMBER, PAYMENT, TAX, TEACUPS, TOTAL, TOWEL, VAT_ID

SHIPPED_AT = "2026-11-20T09:30:00Z"


def order_shipped(**changes: Any) -> dict[str, Any]:
    """The complete data of the event, including fields that invoicing does not read. A new order each time."""
    return {
        "order_id": str(uuid4()),
        "order_number": ORDER_NUMBER,
        **CUSTOMER,
        "buyer_vat_id": VAT_ID,
        "status": "SHIPPED",
        "currency": "EUR",
        "line_items": [
            an_order_line(TEACUPS["product_name"], 2, "24.90", "19.00", "49.80"),
            an_order_line(TOWEL["product_name"], 1, "18.50", "7.00", "18.50"),
        ],
        "taxes": [
            {"rate": "7.00", "net": "18.50", "tax": "1.30"},
            {"rate": "19.00", "net": "49.80", "tax": "9.46"},
        ],
        "net_amount": NET,
        "tax_amount": TAX,
        "total_amount": TOTAL,
        "captured_amount": TOTAL,
        "payment_method": "card",
        "payment_transaction_id": PAYMENT,
        "payment_reference": PAYMENT,
        "shipping_address": {**ADDRESS, "street": "Zum Ödberg 7"},
        "billing_address": ADDRESS,
        "tracking_number": "JJD0099",
        "carrier": "DHL",
        "created_at": "2026-11-18T10:00:00Z",
        "updated_at": SHIPPED_AT,
        "paid_at": "2026-11-18T10:01:00Z",
        "shipped_at": SHIPPED_AT,
        "delivered_at": None,
        "cancelled_at": None,
        "cancellation_reason": None,
        "refund_status": "NONE",
        "refund_transaction_id": None,
        "late_payment": None,
        "version": 4,
        **changes,
    }


def an_order_line(name: str, quantity: int, unit_price: str, tax_rate: str, subtotal: str) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "product_id": str(uuid4()),
        "product_name": name,
        "quantity": quantity,
        "unit_price": unit_price,
        "tax_rate": tax_rate,
        "subtotal": subtotal,
    }
