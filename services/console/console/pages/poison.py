"""Poison records: those that no consumer could process, with their content, their replay and their discarding."""

from collections.abc import Sequence
from typing import Any

from console.pages.answers import Answer, View
from console.pages.lists import Section, new_key, sections, service_of
from console.pages.one_object import ObjectPage
from console.pages.payload import decoded
from console.pages.visit import Visit
from console.services.client import segment

_MOST_GROUPS = 15
STATES = ("kept", "replayed", "discarded")


async def page(visit: Visit) -> View:
    state = visit.query("state") if "state" in visit.request.query_params else "kept"
    found = await sections(visit, "/ops/poison", state=state)
    content = {"sections": found, "states": STATES, "state": state, "service": visit.query("service")}
    with_kept = [each.service for each in found if any(row["state"] == "kept" for row in each.rows)]
    return View("poison.html", {**content, "groups": _groups(found)[:_MOST_GROUPS], "with_kept": with_kept})


def _groups(found: Sequence[Section]) -> list[dict[str, Any]]:
    """The shown records that are kept, by what they have in common: a replay has a filter for it. Most first."""
    groups: dict[tuple[str, str, str], dict[str, Any]] = {}
    for section in found:
        for row in section.rows:
            if row["state"] == "kept":
                alike = {"service": section.service, "topic": row["topic"], "cause": row["cause"]}
                group = groups.setdefault((section.service, row["topic"], row["cause"]), {**alike, "shown": 0})
                group["shown"] += 1
    return sorted(groups.values(), key=lambda group: group["shown"], reverse=True)


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
