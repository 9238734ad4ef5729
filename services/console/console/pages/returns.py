"""Returns: the queue of those that wait for a decision, and approval and rejection of one."""

from typing import Any

from console.operations import APPROVE_RETURN
from console.pages.answers import Answer, Done, View
from console.pages.lists import new_key, next_page
from console.pages.money import money
from console.pages.refusals import acted
from console.pages.visit import Visit
from console.person import Person
from console.services.client import segment

STATES = ("REQUESTED", "APPROVED", "IN_TRANSIT", "RECEIVED", "COMPLETED", "REJECTED")
REASONS = ("damage_not_covered", "policy_violation", "outside_window", "fraudulent")


async def queue(visit: Visit) -> View:
    """Those that wait longest are first."""
    status = visit.query("status") or "REQUESTED"
    found = await visit.services.returns.get(
        "/returns", status=status, sort="created_at", limit=50, cursor=visit.query("cursor"), q=visit.query("q")
    )
    content = {
        "returns": found["data"],
        "total": found["pagination"]["total"],
        "more": next_page(visit, found["pagination"]["next_cursor"]),
        "status": status,
        "states": STATES,
        "q": visit.query("q"),
    }
    return View("returns.html", content)


async def one(visit: Visit) -> View:
    path = f"/returns/{segment(visit.path('return_id'))}"
    returned = await visit.services.returns.get(path)
    history = await visit.part(visit.services.returns.get(f"{path}/history", include="all", limit=100))
    rows = history.data["data"] if history.data is not None else []
    opening = next((row for row in rows if row["previous_state"] is None), None)
    content = {
        "returned": returned,
        "rows": [{**row, "actor": _actor(row)} for row in rows],
        "history_error": history.error,
        "opened_by": None if opening is None else _actor(opening),
        "approvers": _approvers(rows),
        "is_opener": opening is not None and _is_person(opening, visit.person),
        "may_decide": visit.may(APPROVE_RETURN) and returned["status"] == "REQUESTED",
        "reasons": REASONS,
        "key": new_key(),
        "notes": "",
        "rejection_reason": "",
        "refusal": None,
    }
    return View("return.html", content, title=f"Return of {_amount(returned)}")


def _approvers(rows: list[Any]) -> list[str]:
    """Who has approved so far: of two approvals, the first one leaves the return as it is."""
    return [
        _actor(row)
        for row in rows
        if row["outcome"] == "ACCEPTED"
        and row["previous_state"] == "REQUESTED"
        and (row["new_state"] == "APPROVED" or (row["new_state"] == "REQUESTED" and row["trigger"] == "API_CALL"))
        and "manager_notes" in row["metadata"]
    ]


def _actor(row: Any) -> str:
    return str(row["metadata"].get("actor_name") or row["actor_id"] or "the system")


def _is_person(row: Any, person: Person) -> bool:
    """By the actor's id where it is known. Names alone do not tell: a key may have the name of another person."""
    if person.actor_id is not None:
        return bool(row["actor_id"] == person.actor_id)
    return _actor(row) == person.name


async def approve(visit: Visit) -> Answer:
    def done(answer: Any) -> Done:
        if answer["status"] == "REQUESTED":
            message = "Your approval is stored. This amount needs a second approver, other than you and the opener."
            return Done(f"/returns/{answer['id']}", message)
        return Done("/returns", f"The return of {_amount(answer)} is approved.")

    return await _decide(visit, "approve", {}, done)


async def reject(visit: Visit) -> Answer:
    def done(answer: Any) -> Done:
        return Done("/returns", f"The return of {_amount(answer)} is rejected.")

    return await _decide(visit, "reject", {"rejection_reason": visit.form.get("rejection_reason", "")}, done)


async def _decide(visit: Visit, decision: str, body: dict[str, str], done: Any) -> Answer:
    notes = visit.form.get("notes", "")
    action = visit.services.returns.send(
        "PATCH",
        f"/returns/{segment(visit.path('return_id'))}/{decision}",
        {"manager_notes": notes, **body},
        key=visit.form.get("key"),
        version=visit.form.get("version"),
    )
    entered = {"notes": notes, "rejection_reason": body.get("rejection_reason", "")}
    return await acted(visit, action, one, done, entered)


def _amount(returned: Any) -> str:
    return money(returned["refund_amount"], returned["currency"])
