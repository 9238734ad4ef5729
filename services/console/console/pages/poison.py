"""Poison records: those that no consumer could process, with their content, their replay and their discarding."""

from console.pages.answers import Answer, View
from console.pages.lists import new_key, sections, service_of
from console.pages.one_object import ObjectPage
from console.pages.payload import decoded
from console.pages.visit import Visit
from console.services.client import segment

STATES = ("kept", "replayed", "discarded")


async def page(visit: Visit) -> View:
    state = visit.query("state") if "state" in visit.request.query_params else "kept"
    found = await sections(visit, "/ops/poison", state=state)
    return View("poison.html", {"sections": found, "states": STATES, "state": state, "service": visit.query("service")})


async def one(visit: Visit) -> View:
    service = service_of(visit)
    record = await service.get(f"/ops/poison/{segment(visit.path('poison_id'))}")
    content = {
        "service": service.name,
        "record": record,
        "record_key": decoded(record["key"]),
        "value": decoded(record["value"]),
        "headers": [(name, decoded(value)) for name, value in record["headers"]],
        "key": new_key(),
        "refusal": None,
        "reason": "",
    }
    return View("poison_record.html", content, title=f"Poison record of {record['topic']}")


_PAGE = ObjectPage("/poison", "/ops/poison", "poison_id", one)


async def replay(visit: Visit) -> Answer:
    return await _PAGE.act(visit, "replay", "The record is processed.")


async def discard(visit: Visit) -> Answer:
    return await _PAGE.act(visit, "discard", "The record is discarded.", {"reason": visit.form.get("reason", "")})
