"""Failed work of all services, grouped by cause, and what waits for an operator beside it."""

import asyncio
from typing import Any

from console.pages.answers import Answer, Done, View
from console.pages.lists import new_key, sections
from console.pages.visit import Visit
from console.services.client import ServiceClient

_JOBS_SHOWN = 100
PER_SECOND = 5


async def page(visit: Visit) -> View:
    groups, poison, parked, findings = await asyncio.gather(
        visit.parts({client.name: client.get("/ops/failures") for client in visit.services.all}),
        sections(visit, "/ops/poison", state="kept"),
        sections(visit, "/ops/outbox", state="parked"),
        sections(visit, "/ops/discrepancies", state="open"),
    )
    rows = [{"service": name, **group} for name, part in groups.items() if part.data for group in part.data["data"]]
    rows.sort(key=lambda row: (row["state"], -row["jobs"]))
    errors = {name: part.error for name, part in groups.items() if part.error}
    content = {"groups": rows, "errors": errors, "poison": poison, "parked": parked, "findings": findings}
    return View("failures.html", content)


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
        "service": visit.form.get("service", ""),
        "kind": visit.form.get("kind", ""),
        "cause": visit.form.get("cause", ""),
        "per_second": PER_SECOND,
        "key": new_key(),
        "result": None,
        "refusal": None,
    }
    if scope == "chosen" and not visit.form.get("ids"):
        return View("failure_preview.html", {**content, "refusal": ["You have chosen no job."]}, status=422)
    body = {"filter": _filter(visit, only_chosen=scope == "chosen"), "dry_run": True}
    content["result"] = await _service(visit).send("POST", f"/ops/jobs/{action}", body)
    return View("failure_preview.html", content)


async def replay(visit: Visit) -> Answer:
    pace = visit.form.get("per_second", "")
    answer = await _act(visit, "replay", {"per_second": int(pace) if pace.isdecimal() else PER_SECOND})
    return Done("/failures", f"{_count(answer)} will be run again.{_rest(answer)}")


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
    name = visit.form.get("service") or visit.query("service")
    return visit.services.named(name) or visit.services.orders


def _count(answer: Any) -> str:
    jobs = int(answer["changed"])
    return "1 job" if jobs == 1 else f"{jobs} jobs"


def _rest(answer: Any) -> str:
    unchanged = int(answer["unchanged"])
    return (
        f" Not changed: {unchanged}, which changed meanwhile or are more than one request changes." if unchanged else ""
    )
