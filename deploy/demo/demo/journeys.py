"""What customers and staff do, one function a deed; whoever calls them decides how much to tell about it."""

import json
from pathlib import Path
from typing import Any

from demo.client import Shop, Unexpected


def example(name: str) -> dict[str, Any]:
    """An order body from `examples/`."""
    order: dict[str, Any] = json.loads((Path(__file__).parents[3] / "examples" / f"{name}.json").read_text())
    return order


async def place(shop: Shop, order: dict[str, Any]) -> dict[str, Any]:
    return await shop.expect(201, "client", "POST", "/orders", order)


async def pay(shop: Shop, order_id: str, transaction_id: str) -> dict[str, Any]:
    body = {"new_state": "PAID", "payment_transaction_id": transaction_id}
    return await shop.expect(200, "payments", "PATCH", f"/orders/{order_id}/state", body)


async def pack(shop: Shop, order_id: str) -> dict[str, Any]:
    body = {"new_state": "PROCESSING_IN_WAREHOUSE"}
    return await shop.expect(200, "warehouse", "PATCH", f"/orders/{order_id}/state", body)


async def ship(shop: Shop, order_id: str) -> dict[str, Any]:
    body = {"new_state": "SHIPPED", "tracking_number": "1Z999AA10123456784", "carrier": "UPS"}
    return await shop.expect(200, "warehouse", "PATCH", f"/orders/{order_id}/state", body)


async def deliver(shop: Shop, order_id: str) -> dict[str, Any]:
    return await shop.expect(200, "warehouse", "PATCH", f"/orders/{order_id}/state", {"new_state": "DELIVERED"})


async def cancel(shop: Shop, order_id: str, reason: str) -> dict[str, Any]:
    return await shop.expect(200, "client", "POST", f"/orders/{order_id}/cancel", {"reason": reason})


async def open_return(shop: Shop, order_id: str, reason: str) -> dict[str, Any]:
    body = {"order_id": order_id, "reason": reason}
    return await shop.expect(201, "client", "POST", "/returns", body, service="returns")


async def approve(shop: Shop, return_id: str, notes: str) -> dict[str, Any]:
    body = {"manager_notes": notes}
    return await shop.expect(200, "manager", "PATCH", f"/returns/{return_id}/approve", body, service="returns")


async def move_return(shop: Shop, return_id: str, role: str, state: str) -> dict[str, Any]:
    return await shop.expect(200, role, "PATCH", f"/returns/{return_id}/state", {"new_state": state}, service="returns")


async def invoice(shop: Shop, order_id: str) -> dict[str, Any]:
    """The invoice's metadata, as soon as it is issued."""

    async def issued() -> dict[str, Any] | None:
        response = await shop.as_role("client", "GET", f"/orders/{order_id}/invoice")
        return response.json() if response.status_code == 200 else None

    return await shop.eventually(f"the invoice of order {order_id}", issued)


async def invoice_pdf(shop: Shop, metadata: dict[str, Any]) -> bytes:
    """The document behind the signed link."""
    response = await shop.fetch(metadata["download_url"])
    if response.status_code != 200 or not response.content.startswith(b"%PDF"):
        raise Unexpected(f"no PDF behind the invoice's link: {response.status_code}")
    return response.content


async def mails_about(shop: Shop, text: str) -> list[dict[str, Any]]:
    """What the mailbox holds with `text` in the subject, as soon as there is any."""

    async def arrived() -> list[dict[str, Any]] | None:
        response = await shop.fetch(f"{shop.stack['mailbox']['url']}/api/v1/search?query=subject:{text}")
        return response.json()["messages"] or None

    return await shop.eventually(f"an e-mail about {text}", arrived)


async def refunded(shop: Shop, path: str, *, service: str = "orders") -> dict[str, Any]:
    """The order or return, as soon as its refund has succeeded. Raises `Unexpected` when it failed."""

    async def settled() -> dict[str, Any] | None:
        answer = await shop.expect(200, "client", "GET", path, service=service)
        if answer["refund_status"] == "FAILED":
            raise Unexpected(f"the refund of {path} failed")
        return answer if answer["refund_status"] == "SUCCEEDED" else None

    return await shop.eventually(f"the refund of {path}", settled)


async def ledger(shop: Shop, payment: str) -> list[dict[str, Any]]:
    """What the payment gateway's own books say was paid back of a payment."""
    response = await shop.fetch(f"{shop.stack['payment_sandbox']['url']}/sandbox/ledger?payment={payment}")
    refunds: list[dict[str, Any]] = response.json()["refunds"]
    return refunds


async def history(shop: Shop, path: str, *, service: str = "orders") -> list[dict[str, Any]]:
    answer = await shop.expect(200, "ops", "GET", f"{path}/history?include=all", service=service)
    rows: list[dict[str, Any]] = answer["data"]
    return rows
