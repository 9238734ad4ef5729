"""The replay of many poison records: those of one topic with one cause, or chosen ones, after a dry run."""

from typing import Any

from console.pages.answers import Answer, Done, View
from console.pages.lists import new_key, service_named
from console.pages.refusals import acted
from console.pages.visit import Visit
from console.services.client import ServiceClient

_PATH = "/ops/poison/replay"


async def preview(visit: Visit) -> View:
    """A dry run: which records would be processed. Its ids replay exactly these."""
    return await _preview(visit, _filter(visit))


async def replay(visit: Visit) -> Answer:
    service, chosen = _service(visit), _chosen(visit)

    def done(answer: Any) -> Done:
        failed, address = len(answer["failed"]), f"/poison?service={service.name}&state=kept"
        rest = f" Still not processed: {failed}; the log of {service.name} says why." if failed else ""
        return Done(address, f"Processed: {answer['replayed']}.{rest}")

    async def again(visit: Visit) -> View:
        return await _preview(visit, chosen)

    sent = service.send("POST", _PATH, {"filter": chosen}, key=visit.form.get("key"))
    return await acted(visit, sent, again, done)


async def _preview(visit: Visit, chosen: dict[str, Any]) -> View:
    service = _service(visit)
    content: dict[str, Any] = {"service": service.name, "key": new_key(), "result": None, "refusal": None}
    if chosen.get("ids") == []:
        return View("poison_preview.html", {**content, "refusal": ["Select at least one record."]}, status=422)
    content["result"] = await service.send("POST", _PATH, {"filter": chosen, "dry_run": True})
    return View("poison_preview.html", content)


def _filter(visit: Visit) -> dict[str, Any]:
    """The form of a group has its topic and cause; the one below a list has ids."""
    alike = {name: visit.form[name] for name in ("topic", "cause") if visit.form.get(name)}
    return alike or _chosen(visit)


def _chosen(visit: Visit) -> dict[str, Any]:
    return {"ids": visit.form.get("ids", "").split()}


def _service(visit: Visit) -> ServiceClient:
    return service_named(visit, visit.form.get("service", ""))
