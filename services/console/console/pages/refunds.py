"""Refunds with their attempts, settlement by hand, and the book of payments."""

from typing import Any

from console.operations import SETTLE_REFUND
from console.pages.answers import Answer, Done, View
from console.pages.lists import new_key, next_page
from console.pages.money import money
from console.pages.refusals import acted
from console.pages.visit import Visit
from console.services.client import segment

STATES = ("READY", "CALLING", "UNKNOWN", "PENDING", "SUCCEEDED", "DECLINED", "FAILED", "HELD", "REVERSED")
_SETTLED_FROM = ("READY", "DECLINED", "FAILED", "HELD", "REVERSED")


async def page(visit: Visit) -> View:
    conditions = {name: visit.query(name) for name in ("status", "order_id")}
    found = await visit.services.refunds.get("/refunds", limit=50, cursor=visit.query("cursor"), **conditions)
    more = next_page(visit, found["pagination"]["next_cursor"])
    content = {"refunds": found["data"], "total": found["pagination"]["total"], "more": more, "states": STATES}
    return View("refunds.html", {**content, **conditions})


async def one(visit: Visit) -> View:
    refund = await visit.services.refunds.get(f"/refunds/{segment(visit.path('refund_id'))}")
    content = {
        "refund": refund,
        "may_settle": visit.may(SETTLE_REFUND) and refund["status"] in _SETTLED_FROM,
        "key": new_key(),
        "refusal": None,
        "reference": "",
        "note": "",
    }
    return View("refund.html", content, title=f"Refund of {money(refund['amount'], refund['currency'])}")


async def settle(visit: Visit) -> Answer:
    refund_id = segment(visit.path("refund_id"))
    entered = {name: visit.form.get(name, "") for name in ("reference", "note")}

    def done(_: Any) -> Done:
        return Done(f"/refunds/{refund_id}", "The refund is settled by hand.")

    sent = visit.services.refunds.send("POST", f"/refunds/{refund_id}/settlement", entered, key=visit.form.get("key"))
    return await acted(visit, sent, one, done, entered)


async def book(visit: Visit) -> View:
    """The trial balance; with `?order_id=`, also the payments of this order."""
    order_id = visit.query("order_id")
    content = await visit.services.refunds.get("/refunds/book", order_id=order_id)
    return View("book.html", {"book": content, "order_id": order_id})
