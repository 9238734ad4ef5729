"""The audit trail of each service: search, and verification of the chain."""

from typing import Any

from console.operations import LIST_VERIFICATIONS, VERIFY_AUDIT
from console.pages.answers import Answer, Done, View
from console.pages.json_text import json_text
from console.pages.lists import new_key, sections, service_of
from console.pages.refusals import acted
from console.pages.visit import Visit

_MOST_ROWS = 48
CONDITIONS = ("entity_type", "entity_id", "actor_id", "new_state", "outcome", "trigger", "created_from", "created_to")
OUTCOMES = ("ACCEPTED", "REFUSED")
TRIGGERS = ("API_CALL", "EVENT", "BACKGROUND_JOB")


async def page(visit: Visit) -> View:
    conditions = {name: visit.query(name) for name in CONDITIONS}
    content = {
        "sections": await sections(visit, "/audit", _MOST_ROWS, **conditions),
        "service": visit.query("service"),
        "conditions": conditions,
        "outcomes": OUTCOMES,
        "triggers": TRIGGERS,
        "may_verify": visit.may(LIST_VERIFICATIONS),
        "as_text": _as_text,
    }
    return View("audit.html", content)


async def verifications(visit: Visit) -> View:
    content = {
        "sections": await sections(visit, "/ops/audit-verifications"),
        "may_verify": visit.may(VERIFY_AUDIT),
        "key": new_key(),
        "refusal": None,
    }
    return View("audit_verifications.html", content)


async def verify(visit: Visit) -> Answer:
    service = service_of(visit)

    def done(_: Any) -> Done:
        return Done("/audit/verifications", f"The audit trail of {service.name} is being verified.")

    sent = service.send("POST", "/ops/audit-verifications", key=visit.form.get("key"))
    return await acted(visit, sent, verifications, done)


def _as_text(metadata: dict[str, Any]) -> str:
    rest = {name: value for name, value in metadata.items() if name != "actor_name"}
    return json_text(rest)[:500] if rest else ""
