"""The three stories of the demo, told step by step; each checks what it tells."""

from dataclasses import dataclass
from typing import Any

from demo import journeys
from demo.client import Shop, Unexpected
from demo.narrator import Narrator


@dataclass(frozen=True, slots=True)
class Ending:
    """How a story ended, for the closing table and the events that must be found on Kafka."""

    title: str
    order: dict[str, Any]
    events: dict[str, list[str]]
    invoice: dict[str, Any] | None = None
    refund_transaction_id: str | None = None
    return_id: str | None = None


async def _delivered(shop: Shop, narrator: Narrator, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Place, pay, pack, ship and deliver; the order and its invoice."""
    body = journeys.example(name)
    async with narrator.step("places an order", actor=body["customer_name"]) as told:
        order = await journeys.place(shop, body)
        told(f"{order['order_number']}, {len(order['line_items'])} lines, {money(order, 'total_amount')}")
    async with narrator.step("takes the payment", actor="payments") as told:
        paid = await journeys.pay(shop, order["id"], f"pi_{order['order_number'].lower()}")
        told(f"{paid['status']}, {paid['payment_transaction_id']}")
    async with narrator.step("packs and ships it", actor="warehouse") as told:
        await journeys.pack(shop, order["id"])
        shipped = await journeys.ship(shop, order["id"])
        told(f"{shipped['status']} with {shipped['carrier']} {shipped['tracking_number']}")
    async with narrator.step("renders, numbers, stores and mails the invoice", actor="invoicing") as told:
        invoice = await journeys.invoice(shop, order["id"])
        pdf = await journeys.invoice_pdf(shop, invoice)
        mails = await journeys.mails_about(shop, invoice["invoice_number"])
        if len(mails) != 1:
            raise Unexpected(f"{len(mails)} e-mails about {invoice['invoice_number']} in place of one")
        told(f"{invoice['invoice_number']}, {len(pdf):,} bytes, e-mailed to {mails[0]['To'][0]['Address']}")
    async with narrator.step("delivers it", actor="warehouse") as told:
        order = await journeys.deliver(shop, order["id"])
        told(order["status"])
    return order, invoice


async def delivered_and_kept(shop: Shop, narrator: Narrator) -> Ending:
    narrator.story("Delivered and kept")
    order, invoice = await _delivered(shop, narrator, "kept-order")
    async with narrator.step(
        "tries to cancel it after all, too late", actor=journeys.example("kept-order")["customer_name"]
    ) as told:
        refusal = await shop.expect(
            409, "client", "POST", f"/orders/{order['id']}/cancel", {"reason": "too many bowls"}
        )
        details = refusal["error"]["details"]
        told(
            f"409 {refusal['error']['code']}: {details['current_state']} allows "
            f"{details['allowed_transitions'] or 'nothing more'}"
        )
    async with narrator.step("reads the audit trail", actor="ops") as told:
        rows = await journeys.history(shop, f"/orders/{order['id']}")
        told(f"{len(rows)} rows, the refused one among them")
    narrator.audit_trail(rows)
    return Ending(
        "Kept",
        order,
        {"articurated.orders": ORDER_DELIVERED, "articurated.invoices": ["invoice.issued"]},
        invoice,
    )


ORDER_DELIVERED = ["order.created", "order.paid", "order.processing", "order.shipped", "order.delivered"]
RETURN_COMPLETED = ["return.requested", "return.approved", "return.in_transit", "return.received", "return.completed"]


async def delivered_and_returned(shop: Shop, narrator: Narrator) -> Ending:
    narrator.story("Delivered, returned, approved and refunded")
    order, invoice = await _delivered(shop, narrator, "returned-order")
    customer = journeys.example("returned-order")["customer_name"]
    async with narrator.step("asks to return it, at once", actor=customer) as told:
        opened = await journeys.open_return(shop, order["id"], "The plate arrived with a hairline crack.")
        told(f"{opened['status']}, refund would be {money(opened, 'refund_amount')}")
    path = f"/returns/{opened['id']}"
    async with narrator.step("approves", actor="manager") as told:
        told((await journeys.approve(shop, opened["id"], "Crack visible on the photo."))["status"])
    async with narrator.step("sends it back", actor=customer) as told:
        told((await journeys.move_return(shop, opened["id"], "client", "IN_TRANSIT"))["status"])
    async with narrator.step("receives and completes it", actor="warehouse") as told:
        await journeys.move_return(shop, opened["id"], "warehouse", "RECEIVED")
        told((await journeys.move_return(shop, opened["id"], "warehouse", "COMPLETED"))["status"])
    async with narrator.step("pays the money back, once, and says so by e-mail", actor="refunds") as told:
        settled = await journeys.refunded(shop, path, service="returns")
        told(await _paid_back_once(shop, order, settled))
    return Ending(
        "Returned and refunded",
        order,
        {
            "articurated.orders": ORDER_DELIVERED,
            "articurated.invoices": ["invoice.issued"],
            "articurated.returns": RETURN_COMPLETED,
            "articurated.refunds": ["refund.succeeded"],
        },
        invoice,
        settled["refund_transaction_id"],
        opened["id"],
    )


async def paid_and_cancelled(shop: Shop, narrator: Narrator) -> Ending:
    narrator.story("Paid and cancelled")
    body = journeys.example("cancelled-order")
    async with narrator.step("places an order", actor=body["customer_name"]) as told:
        order = await journeys.place(shop, body)
        told(f"{order['order_number']}, {money(order, 'total_amount')}")
    async with narrator.step("takes the payment", actor="payments") as told:
        told((await journeys.pay(shop, order["id"], f"pi_{order['order_number'].lower()}"))["status"])
    async with narrator.step("cancels", actor=body["customer_name"]) as told:
        cancelled = await journeys.cancel(shop, order["id"], "Found one nearer home.")
        told(f"{cancelled['status']}, refund {cancelled['refund_status']}")
    async with narrator.step("pays the money back, once, and says so by e-mail", actor="refunds") as told:
        order = await journeys.refunded(shop, f"/orders/{order['id']}")
        told(await _paid_back_once(shop, order, order))
    return Ending(
        "Cancelled and refunded",
        order,
        {
            "articurated.orders": ["order.created", "order.paid", "order.cancelled"],
            "articurated.refunds": ["refund.succeeded"],
        },
        refund_transaction_id=order["refund_transaction_id"],
    )


async def _paid_back_once(shop: Shop, order: dict[str, Any], settled: dict[str, Any]) -> str:
    """Compare with the payment gateway's own books and the mailbox. Raises `Unexpected`."""
    booked = await journeys.ledger(shop, order["payment_transaction_id"])
    if [refund["id"] for refund in booked] != [settled["refund_transaction_id"]]:
        raise Unexpected(f"the gateway's ledger of {order['payment_transaction_id']} says {booked}")
    [mail, *_] = await journeys.mails_about(shop, order["order_number"])
    amount, recipient = money(order, "total_amount"), mail["To"][0]["Address"]
    return f"{amount} back as {settled['refund_transaction_id']}, e-mailed to {recipient}"


def money(body: dict[str, Any], field: str) -> str:
    return f"{body[field]:.2f} {body['currency']}"


STORIES = (delivered_and_kept, delivered_and_returned, paid_and_cancelled)
