"""Discrepancies that the reconcilers have found: places that must agree and do not; an operator can acknowledge one."""

from typing import Any

from console.operations import ACKNOWLEDGE_DISCREPANCY
from console.pages.answers import Answer, Done, View
from console.pages.json_text import json_text, parse_json_text
from console.pages.lists import new_key, sections, service_of
from console.pages.refusals import acted
from console.pages.visit import Visit
from console.services.client import segment

_MOST_ROWS = 30
# Longer ones are cut, and not acknowledged here: a person decides about what the page shows.
_LONGEST_DETAILS = 400
STATES = ("open", "acknowledged", "resolved")


async def page(visit: Visit) -> View:
    state = visit.query("state") if "state" in visit.request.query_params else "open"
    found = await sections(visit, "/ops/discrepancies", _MOST_ROWS, state=state, check=visit.query("check"))
    content = {"sections": found, "states": STATES, "state": state, "service": visit.query("service")}
    forms = {"may_acknowledge": visit.may(ACKNOWLEDGE_DISCREPANCY), "key": new_key(), "refusal": None}
    shown = {"check": visit.query("check"), "as_text": json_text, "longest": _LONGEST_DETAILS}
    return View("findings.html", {**content, **forms, **shown})


async def acknowledge(visit: Visit) -> Answer:
    """With the details that the person has seen: others are a decision of their own."""
    service = service_of(visit)
    body = {"reason": visit.form.get("reason", ""), "details": parse_json_text(visit.form.get("details", ""))}

    def done(_: Any) -> Done:
        return Done(
            "/findings", f"{service.name}: the discrepancy is acknowledged. It is reported again if it changes."
        )

    path = f"/ops/discrepancies/{segment(visit.path('discrepancy_id'))}/acknowledge"
    return await acted(visit, service.send("POST", path, body, key=visit.form.get("key")), page, done)
