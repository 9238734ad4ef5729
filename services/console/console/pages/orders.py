"""Search for orders: by words, or by one of their references."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from console.pages.answers import Done, View
from console.pages.visit import Visit
from console.services.client import ApiError

# The filters of GET /orders that a person can choose, with their labels.
FIELDS = {
    "q": "number, name or e-mail",
    "order_number": "order number",
    "customer_email": "e-mail address",
    "external_id": "external id",
    "tracking_number": "tracking number",
    "payment_reference": "payment reference",
}
STATUSES = ("PENDING_PAYMENT", "PAID", "PROCESSING_IN_WAREHOUSE", "SHIPPED", "DELIVERED", "CANCELLED")
_MEMBERS = "id,order_number,status,total_amount,currency,customer_name,customer_email,created_at,refund_status"
_PAGE_LENGTH = 25


async def page(visit: Visit) -> View | Done:
    """The newest orders, or those that are found. An order's id, or a number that one order has, leads to the order."""
    text = visit.query("text")
    if _is_id(text):
        return Done(f"/orders/{text.lower()}")
    field = visit.query("by") if visit.query("by") in FIELDS else "q"
    status = visit.query("status") if visit.query("status") in STATUSES else ""
    found: Mapping[str, Any] = {"data": [], "pagination": {"total": 0, "next_cursor": None}}
    problem = None
    try:
        found = await visit.services.orders.get(
            "/orders",
            **({field: text} if text else {}),
            status=status,
            cursor=visit.query("cursor"),
            limit=_PAGE_LENGTH,
            fields=_MEMBERS,
        )
    except ApiError as error:
        if error.status != 422:
            raise
        problem = error.problems
    if (
        text
        and len(found["data"]) == 1
        and not visit.query("cursor")
        and found["data"][0]["order_number"] == text.upper()
    ):
        return Done(f"/orders/{found['data'][0]['id']}")
    content = {
        "fields": FIELDS,
        "statuses": STATUSES,
        "chosen": {"by": field, "text": text, "status": status},
        "orders": found["data"],
        "pagination": found["pagination"],
        "problem": problem,
    }
    return View("orders.html", content)


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
