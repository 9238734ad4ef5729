"""Orders, returns and refunds with as many and as long values as the services allow."""

from typing import Any

from starlette.requests import Request
from support.console.largest_values import AT, ID, id_of, text
from support.console.largest_work import attempt


def an_order(number: int, lines: int = 0) -> dict[str, Any]:
    line = {"product_name": text(255), "quantity": 10**6, "unit_price": 999999999999.99, "subtotal": 999999999999.99}
    names = ("external_id", "payment_transaction_id", "tracking_number", "carrier", "refund_transaction_id")
    return {
        "id": id_of(number),
        "order_number": f"ORD-2026-{number:012}",
        "status": "DELIVERED",
        "created_at": AT,
        "refund_status": "SUCCEEDED",
        "total_amount": 999999999999.99,
        "currency": "USD",
        "customer_name": text(255),
        "customer_email": f"{'e' * 64}@{'d' * 180}.example",
        "line_items": [line] * lines,
        **{name: text(255) for name in names},
        "cancellation_reason": text(500),
        "shipping_address": {"street": text(255), "zip": "z" * 20, "city": text(100), "country": text(50)},
    }


def explained(_: Request) -> Any:
    entry = {
        "at": AT,
        "service": "invoicing",
        "kind": "discrepancy",
        "title": text(150),
        "detail": text(2000),
        "outcome": "succeeded",
        "actor": "n" * 100,
        "trace_id": "a" * 32,
        "subject": ID,
    }
    finding = {
        "cause": "invoice-document-dead",
        "severity": "error",
        "service": "invoicing",
        "headline": text(300),
        "since": AT,
        "next": text(300),
        "next_at": AT,
        "remedy": text(300),
    }
    actions = [action("POST", f"/api/v1/ops/jobs/{id_of(n)}/discard") for n in range(2)]
    services = [{"name": name, "answered": True, "error": None} for name in ("orders", "returns")]
    findings = [{**finding, "actions": actions} for _ in range(12)]
    return {"findings": findings, "timeline": [entry] * 1_000, "services": services}


def action(method: str, path: str) -> dict[str, Any]:
    return {"label": "Discard the job", "method": method, "service": "invoicing", "path": path, "roles": ["ops"]}


def a_return(number: int) -> dict[str, Any]:
    return {
        "id": id_of(number),
        "order_id": ID,
        "status": "REQUESTED",
        "reason": text(500),
        "version": 1,
        "customer_notes": text(1000),
        "refund_amount": 999999999999.99,
        "currency": "USD",
        "created_at": AT,
        "refund_status": "NONE",
        "refund_transaction_id": text(255),
        "approvals": [{}],
    }


def refund(number: int) -> dict[str, Any]:
    return {
        "id": id_of(number),
        "cause": "RETURN",
        "order_id": ID,
        "order_number": "ORD-2026-000000000001",
        "return_id": ID,
        "amount": 999999999999.99,
        "currency": "USD",
        "payment_reference": text(255),
        "status": "FAILED",
        "transaction_id": text(255),
        "error": text(2000),
        "created_at": AT,
        "completed_at": AT,
        "settled_by_hand": True,
        "attempts": [attempt(n) for n in range(100)],
    }


def book(_: Request) -> Any:
    names = ("captured", "refundable", "in_flight", "paid_back", "paid_elsewhere", "settled", "disputed", "lost")
    amounts = dict.fromkeys((*names, "excess"), 999999999999.99)
    entry = {
        "kind": "CAPTURED",
        "source": "customer",
        "target": "paid_elsewhere",
        "amount": 999999999999.99,
        "actor": "n" * 100,
        "created_at": AT,
    }
    payment = {"kind": "CAPTURED", "reference": text(255), "currency": "USD", **amounts, "entries": [entry] * 50}
    account = {"account": "paid_elsewhere", **dict.fromkeys(("debits", "credits", "balance"), 999999999999.99)}
    accounts = [{**account, "currency": currency} for currency in ("USD", "JPY", "KWD") for _ in range(10)]
    counts = {"payments_in_excess": 10**6, "disagreements": 10**6}
    return {"is_zero": False, "accounts": accounts, **counts, "payments": [payment] * 3}
