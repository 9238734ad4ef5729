"""Overview: the whole system at a glance, refreshed by itself."""

import asyncio
from collections.abc import Mapping
from typing import Any

from console import operations as ops
from console.pages.answers import View
from console.pages.overview_summary import COUNTED_ALREADY, summary_of
from console.pages.visit import Visit

_MOST_FAILURES = 20
_MOST_ALERTS = 20


async def page(visit: Visit) -> View:
    return View("overview.html", {**await _content(visit), "is_new": False, "refreshes": visit.refreshes})


async def live(visit: Visit) -> View:
    """The part of the page that htmx asks for again and again. The browser sends the sentence that it shows."""
    content = await _content(visit)
    return View("overview_live.html", {**content, "is_new": visit.query("shown") != content["summary"].text})


async def _content(visit: Visit) -> Mapping[str, Any]:
    """What the person's role may see of the services; the health of roles is open."""
    services = visit.services.all
    sees_status, sees_failures = visit.may(ops.READ_STATUS), visit.may(ops.LIST_FAILURES)
    status_calls = {each.name: each.get("/ops/status") for each in services if sees_status}
    failure_calls = {each.name: each.get("/ops/failures") for each in services if sees_failures}
    undecided = {
        each.name: each.get("/returns", status="REQUESTED", sort="created_at", limit=1)
        for each in services
        if each.name == "returns" and visit.may(ops.APPROVE_RETURN)
    }
    health, statuses, failures, decisions, alerts = await asyncio.gather(
        visit.monitoring.health(),
        visit.parts(status_calls),
        visit.parts(failure_calls),
        visit.parts(undecided),
        visit.monitoring.alerts() if sees_status else _nothing(),
    )
    groups = [
        {"service": name, **group}
        for name, part in failures.items()
        if part.data is not None
        for group in part.data["data"]
    ]
    groups.sort(key=lambda group: group["newest"] or "", reverse=True)
    return {
        "roles": health,
        "summary": summary_of(health, statuses, failures, alerts, is_whole=sees_status),
        "statuses": statuses,
        "counted_already": COUNTED_ALREADY,
        "sees_status": sees_status,
        "sees_failures": sees_failures,
        "failures": groups[:_MOST_FAILURES],
        "knows_all_failures": all(part.data is not None for part in failures.values()),
        "decisions": decisions.get("returns"),
        "alerts": alerts,
        "most_alerts": _MOST_ALERTS,
        "charts": visit.monitoring.charts,
    }


async def _nothing() -> None:
    return None
