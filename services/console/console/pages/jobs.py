"""Jobs: lists by state, kind and cause; one job with its attempts, its replay and its discarding."""

from typing import Any

from console.pages.answers import Answer, Done, View
from console.pages.lists import new_key, sections, service_of
from console.pages.refusals import acted
from console.pages.visit import Visit
from console.services.client import segment

STATES = ("ready", "running", "done", "dead", "discarded")
_CONDITIONS = ("state", "kind", "business_key", "cause")


async def page(visit: Visit) -> View:
    conditions = {name: visit.query(name) for name in _CONDITIONS}
    found = await sections(visit, "/ops/jobs", **conditions)
    return View("jobs.html", {"sections": found, "states": STATES, "service": visit.query("service"), **conditions})


async def one(visit: Visit) -> View:
    service = service_of(visit)
    job = await service.get(f"/ops/jobs/{segment(visit.path('job_id'))}")
    content = {"service": service.name, "job": job, "key": new_key(), "refusal": None, "reason": ""}
    return View("job.html", content, title=f"Job {job['kind']}")


async def replay(visit: Visit) -> Answer:
    return await _act(visit, "replay", None, "The job will be run again, with a new round of attempts.")


async def discard(visit: Visit) -> Answer:
    body = {"reason": visit.form.get("reason", "")}
    return await _act(visit, "discard", body, "The job is discarded. It is kept, and can be replayed.")


async def _act(visit: Visit, action: str, body: dict[str, str] | None, message: str) -> Answer:
    service, job_id = service_of(visit), segment(visit.path("job_id"))

    def done(_: Any) -> Done:
        return Done(f"/jobs/{service.name}/{job_id}", message)

    sent = service.send("POST", f"/ops/jobs/{job_id}/{action}", body, key=visit.form.get("key"))
    return await acted(visit, sent, one, done, {"reason": visit.form.get("reason", "")})
