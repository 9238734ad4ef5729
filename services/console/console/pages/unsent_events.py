"""Events that are not published: parked ones, which Kafka has rejected, with their content and their replay."""

from typing import Any

from console.pages.answers import Answer, Done, View
from console.pages.json_text import json_text
from console.pages.lists import new_key, sections, service_of
from console.pages.payload import payload
from console.pages.refusals import acted
from console.pages.visit import Visit
from console.services.client import segment

STATES = ("parked", "pending")


async def page(visit: Visit) -> View:
    state = visit.query("state") or "parked"
    found = await sections(visit, "/ops/outbox", state=state)
    content = {"sections": found, "states": STATES, "state": state, "service": visit.query("service")}
    return View("unsent_events.html", content)


async def one(visit: Visit) -> View:
    service = service_of(visit)
    event = await service.get(f"/ops/outbox/{segment(visit.path('position'))}")
    content = {
        "service": service.name,
        "event": event,
        "payload": payload(json_text(event["payload"]).encode()),
        "key": new_key(),
        "refusal": None,
    }
    return View("unsent_event.html", content, title=f"Event {event['type']}")


async def replay(visit: Visit) -> Answer:
    service, position = service_of(visit), segment(visit.path("position"))

    def done(_: Any) -> Done:
        shown_again = f"/unsent-events/{service.name}/{position}"
        return Done(shown_again, "The event will be published, and then those of its key behind it. Reload the page.")

    sent = service.send("POST", f"/ops/outbox/{position}/replay", key=visit.form.get("key"))
    return await acted(visit, sent, one, done)
