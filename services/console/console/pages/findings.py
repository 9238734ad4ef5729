"""Discrepancies that the reconcilers have found: places that must agree and do not."""

from console.pages.answers import View
from console.pages.json_text import json_text
from console.pages.lists import sections
from console.pages.visit import Visit

STATES = ("open", "resolved")


async def page(visit: Visit) -> View:
    state = visit.query("state") if "state" in visit.request.query_params else "open"
    found = await sections(visit, "/ops/discrepancies", state=state, check=visit.query("check"))
    content = {"sections": found, "states": STATES, "state": state, "service": visit.query("service")}
    return View("findings.html", {**content, "check": visit.query("check"), "as_text": _as_text})


def _as_text(details: object) -> str:
    return json_text(details)[:1000]
