"""The page of one order: why it is where it is, what the person can do, and what has happened."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from console import operations as ops
from console.pages.answers import Answer, Done, File, View
from console.pages.excerpt import excerpt
from console.pages.order_steps import STEPS, Step
from console.pages.page import PageFunction
from console.pages.refusals import in_words
from console.pages.remedies import remedies_of
from console.pages.visit import Visit
from console.services.client import PREFIX, ApiError, segment

# Of a page of less than 100 kB; links lead to the rest.
_ENTRIES_SHOWN = 50
_LINES_SHOWN = 30


async def page(visit: Visit) -> Answer:
    """Also by the order's number."""
    name = visit.path("order_id")
    try:
        UUID(name)
    except ValueError:
        return await _by_number(visit, name)
    return await _shown(visit)


async def _by_number(visit: Visit, number: str) -> Done:
    found = await visit.services.orders.get("/orders", order_number=number, fields="id")
    if len(found["data"]) != 1:
        raise ApiError("orders", 404, "NOT_FOUND", f"There is no order with the number {number}.")
    return Done(f"/orders/{found['data'][0]['id']}")


async def _shown(visit: Visit, refusal: ApiError | None = None) -> View:
    path = f"/orders/{segment(visit.path('order_id'))}"
    orders = visit.services.orders
    calls = {"invoice": orders.get(f"{path}/invoice")}
    if visit.may(ops.EXPLAIN_ORDER):
        calls["explanation"] = orders.get(f"{path}/explain")
    else:
        calls["history"] = orders.get(f"{path}/history", include="all")
    order, parts = await asyncio.gather(orders.get(path), visit.parts(calls))
    explained = parts["explanation"].data if "explanation" in parts else None
    findings = [] if explained is None else explained["findings"]
    content = {
        "order": order,
        "explained": explained,
        "explain_error": parts["explanation"].error if "explanation" in parts else None,
        "history": parts["history"].data["data"] if "history" in parts and parts["history"].data else [],
        "invoice": parts["invoice"].data,
        "steps": _steps(visit, order),
        "remedies": remedies_of(findings, visit.person.role),
        "timeline": excerpt([] if explained is None else explained["timeline"], _ENTRIES_SHOWN, visit.query("entry")),
        "lines": excerpt(order["line_items"], _LINES_SHOWN, visit.query("line") or str(_LINES_SHOWN)),
        "trace_url": visit.trace_url,
        "refusal": None if refusal is None else in_words(refusal),
    }
    status = 200 if refusal is None else refusal.status
    return View("order.html", content, title=f"Order {order['order_number']}", status=status)


def _steps(visit: Visit, order: Mapping[str, Any]) -> list[Step]:
    return [step for step in STEPS if visit.may(step.operation) and order["status"] in step.from_states]


def take(step: Step) -> PageFunction:
    """The function that asks for this change of the order as the person has seen it: a payment that was reported
    since would be refunded with a cancellation, and a second report of one would be money to pay back."""

    async def change(visit: Visit) -> Answer:
        order_id = segment(visit.path("order_id"))
        body = {each.name: visit.form[each.name] for each in step.inputs if visit.form.get(each.name, "").strip()}
        if step.operation.target is not None:
            body["new_state"] = step.operation.target
        path = step.operation.path.replace("{order_id}", order_id)
        try:
            method, key, version = step.operation.method, visit.form.get("key"), visit.form.get("version")
            await visit.services.orders.send(method, path, body, key=key, version=version)
        except ApiError as error:
            return await _refused(visit, error)
        return Done(f"/orders/{order_id}", f"{step.label}: done.")

    return change


async def act(visit: Visit) -> Answer:
    """An action that the explanation offered. It is looked up again: a form cannot name any other request."""
    order_id = segment(visit.path("order_id"))
    explained = await visit.services.orders.get(f"/orders/{order_id}/explain")
    remedies = {each.id: each for each in remedies_of(explained["findings"], visit.person.role)}
    remedy = remedies.get(visit.form.get("action", ""))
    service = None if remedy is None else visit.services.named(remedy.service)
    if remedy is None or service is None or remedy.method == "GET":
        return Done(f"/orders/{order_id}", "This is not possible any more: the order has changed since.")
    entered = {each.name: visit.form.get(each.name, "") for each in remedy.inputs}
    body = {**(remedy.body or {}), **entered}
    try:
        await service.send(remedy.method, remedy.path, body or None, key=visit.form.get("key"))
    except ApiError as error:
        return await _refused(visit, error)
    return Done(f"/orders/{order_id}", f"{remedy.label}: the request was accepted. Reload the page to see its result.")


async def _refused(visit: Visit, error: ApiError) -> View:
    if error.status in (401, 404) or error.may_have_acted:
        raise error
    return await _shown(visit, error)


async def invoice(visit: Visit) -> File:
    """The invoice's document, by the signed link that orders gives to this person."""
    path = f"/orders/{segment(visit.path('order_id'))}/invoice"
    metadata = await visit.services.orders.get(path)
    _, _, link = metadata["download_url"].partition(PREFIX)
    document = await visit.services.invoicing.download(link)
    return File(document.content, document.media_type, f"{metadata['invoice_number']}.pdf")
