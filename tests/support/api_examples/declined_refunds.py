"""Refunds that the payment provider of a running stack declines, and that an operator settles by hand."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
from demo import journeys
from demo.client import Shop

Refund = Mapping[str, Any]


async def declined_refund(shop: Shop, order: Mapping[str, Any]) -> Refund:
    """The refund of this paid order, which is cancelled. `transfer` is a reference that settles no refund yet."""
    fault = {"mode": "decline", "times": None, "payment": order["payment_transaction_id"]}
    async with httpx.AsyncClient(base_url=shop.stack["payment_sandbox"]["url"]) as sandbox:
        (await sandbox.post("/sandbox/faults", json=fault)).raise_for_status()
    await journeys.cancel(shop, order["id"], "The customer changed her mind.")

    async def declined() -> Refund | None:
        path = f"/refunds?order_id={order['id']}&status=DECLINED"
        page = await shop.expect(200, "manager", "GET", path, service="refunds")
        return page["data"][0] if page["data"] else None

    refund = await shop.eventually(f"the declined refund of order {order['id']}", declined)
    return {**refund, "transfer": f"transfer {uuid4().hex}"}


async def settle(shop: Shop, refund: Refund) -> None:
    body = {"reference": refund["transfer"], "note": "Paid by bank transfer."}
    await shop.expect(200, "ops", "POST", f"/refunds/{refund['id']}/settlement", body, service="refunds")
