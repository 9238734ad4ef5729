"""Failed work of all services, grouped by cause, and what waits for an operator beside it."""

import asyncio
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from console.pages.answers import Answer, Done, View
from console.pages.lists import new_key, service_named
from console.pages.visit import Part, Visit
from console.services.client import ServiceClient

# Of a page of less than 100 kB.
_GROUPS_SHOWN = 25
_JOBS_SHOWN = 50
PER_SECOND = 5
_HOW_THEY_END = "A job that fails again for good comes back to this page; the others succeed or are being retried."
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,4})?")
# What waits beside jobs: its heading and its page.
_OTHERS = {
    "poison": ("Poison records", "/poison"),
    "parked": ("Parked events", "/unsent-events"),
    "findings": ("Open discrepancies", "/findings"),
}


async def page(visit: Visit) -> View:
    return View("failures.html", {**await _content(visit), "refreshes": visit.refreshes})


async def live(visit: Visit) -> View:
    """The part of the page that htmx asks for again and again."""
    return View("failures_live.html", await _content(visit))


async def _content(visit: Visit) -> Mapping[str, Any]:
    """By two calls of each service: they are made again and again, and count towards the person's request limit."""
    groups, statuses = await asyncio.gather(
        visit.parts({client.name: client.get("/ops/failures") for client in visit.services.all}),
        visit.parts({client.name: client.get("/ops/status") for client in visit.services.all}),
    )
    rows = [{"service": name, **group} for name, part in groups.items() if part.data for group in part.data["data"]]
    rows.sort(key=lambda row: (row["state"], -row["jobs"]))
    errors = {name: part.error for parts in (groups, statuses) for name, part in parts.items() if part.error}
    return {
        "groups": rows[:_GROUPS_SHOWN],
        "more_groups": max(0, len(rows) - _GROUPS_SHOWN),
        "errors": errors,
        "others": _others(statuses),
    }


def _others(statuses: Mapping[str, Part[Any]]) -> list[Mapping[str, Any]]:
    """What waits for an operator and is no job: each with its services, their numbers, and of what these are."""
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in _OTHERS}
    for service, status in ((name, part.data) for name, part in statuses.items() if part.data is not None):
        counts = {
            "poison": {each["topic"]: each["kept"] for each in status["poison"]},
            "parked": {"": status["outbox"]["parked"]},
            "findings": {each["check"]: each["open"] for each in status["discrepancies"]},
        }
        for name, numbers in counts.items():
            if total := sum(numbers.values()):
                found[name].append({"service": service, "total": total, "what": ", ".join(filter(None, numbers))})
    return [
        {"id": name, "title": title, "address": address, "of": found[name]}
        for name, (title, address) in _OTHERS.items()
    ]


async def group(visit: Visit) -> View:
    """The jobs of one kind that failed with one cause."""
    service, kind, cause = _service(visit), visit.query("kind"), visit.query("cause")
    jobs = await service.get("/ops/jobs", state="dead", kind=kind, cause=cause, limit=_JOBS_SHOWN)
    content = {"service": service.name, "kind": kind, "cause": cause, "jobs": jobs["data"]}
    return View("failure_group.html", {**content, "total": jobs["pagination"]["total"]}, title=f"Failed: {kind}")


async def preview(visit: Visit) -> View:
    """A dry run: which jobs the action would change. Its selection changes exactly these."""
    action, _, scope = visit.form.get("action", "replay-all").partition("-")
    action = "discard" if action == "discard" else "replay"
    content: dict[str, Any] = {
        "action": action,
        "service": _service(visit).name,
        "kind": visit.form.get("kind", ""),
        "cause": visit.form.get("cause", ""),
        "per_second": PER_SECOND,
        "key": new_key(),
        "result": None,
        "refusal": None,
    }
    if scope == "chosen" and not visit.form.get("ids"):
        return View("failure_preview.html", {**content, "refusal": ["Select at least one job."]}, status=422)
    body = {"filter": _filter(visit, only_chosen=scope == "chosen"), "dry_run": True}
    content["result"] = await _service(visit).send("POST", f"/ops/jobs/{action}", body)
    return View("failure_preview.html", content)


async def replay(visit: Visit) -> Answer:
    pace = visit.form.get("per_second", "").strip()
    # What is no number is refused by the API, and not replaced by another pace.
    answer = await _act(visit, "replay", {"per_second": Decimal(pace) if _NUMBER.fullmatch(pace) else pace})
    return Done("/failures", f"{_count(answer)} will be run again.{_rest(answer)} {_HOW_THEY_END}")


async def discard(visit: Visit) -> Answer:
    answer = await _act(visit, "discard", {})
    return Done(
        "/failures", f"{_count(answer)} discarded. Discarded jobs are kept, and can be replayed.{_rest(answer)}"
    )


async def _act(visit: Visit, action: str, options: dict[str, Any]) -> Any:
    body = {"selection": visit.form.get("selection", ""), "reason": visit.form.get("reason", ""), **options}
    return await _service(visit).send("POST", f"/ops/jobs/{action}", body, key=visit.form.get("key"))


def _filter(visit: Visit, *, only_chosen: bool) -> dict[str, Any]:
    if only_chosen:
        return {"ids": visit.form.get("ids", "").split()}
    return {name: visit.form[name] for name in ("kind", "cause") if visit.form.get(name)}


def _service(visit: Visit) -> ServiceClient:
    return service_named(visit, visit.form.get("service") or visit.query("service"))


def _count(answer: Any) -> str:
    jobs = int(answer["changed"])
    return "1 job" if jobs == 1 else f"{jobs} jobs"


def _rest(answer: Any) -> str:
    """Those of the dry run's selection that were claimed, replayed or discarded since."""
    match int(answer["unchanged"]):
        case 0:
            return ""
        case 1:
            return " 1 job was left alone, because it changed after the dry run."
        case unchanged:
            return f" {unchanged} jobs were left alone, because they changed after the dry run."
