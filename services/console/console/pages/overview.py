"""Overview: the whole system at a glance."""

from console.pages.answers import View
from console.pages.visit import Visit


async def page(visit: Visit) -> View:
    return View("overview.html", {"roles": await visit.monitoring.health()})
