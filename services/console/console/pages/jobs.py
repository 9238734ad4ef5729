"""Jobs: lists by state, kind and cause; one job with its attempts, its replay and its discarding."""

from console.pages.answers import Answer, View
from console.pages.lists import new_key, sections, service_of
from console.pages.one_object import ObjectPage
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


_PAGE = ObjectPage("/jobs", "/ops/jobs", "job_id", one)


async def replay(visit: Visit) -> Answer:
    return await _PAGE.act(visit, "replay", "The job will be run again, with a new round of attempts.")


async def discard(visit: Visit) -> Answer:
    body = {"reason": visit.form.get("reason", "")}
    return await _PAGE.act(visit, "discard", "The job is discarded. It is kept, and can be replayed.", body)
