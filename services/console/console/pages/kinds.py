"""Kinds of work of all services: how many jobs are in which state; pause and resume of a kind."""

from typing import Any

from console.pages.answers import Answer, Done, View
from console.pages.lists import new_key, service_of
from console.pages.refusals import acted
from console.pages.visit import Visit
from console.services.client import segment


async def page(visit: Visit) -> View:
    parts = await visit.parts({client.name: client.get("/ops/job-kinds") for client in visit.services.all})
    return View("kinds.html", {"parts_of": parts, "key": new_key(), "refusal": None})


async def pause(visit: Visit) -> Answer:
    return await _act(
        visit, "pause", {"reason": visit.form.get("reason", "")}, "is paused: none of its jobs will start."
    )


async def resume(visit: Visit) -> Answer:
    return await _act(visit, "resume", None, "is resumed.")


async def _act(visit: Visit, action: str, body: dict[str, str] | None, message: str) -> Answer:
    service, kind = service_of(visit), visit.path("kind")

    def done(_: Any) -> Done:
        return Done("/kinds", f"{service.name}: {kind} {message}")

    sent = service.send("POST", f"/ops/job-kinds/{segment(kind)}/{action}", body, key=visit.form.get("key"))
    return await acted(visit, sent, page, done)
