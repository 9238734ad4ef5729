"""The pages `/livez`, `/readyz` and `/metrics`, as an ASGI application without a web framework: for every role."""

from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.edge.pages.page_application import Page, PageApplication, PageFunction, json_page
from common.errors import Code, Problem
from common.health import Health


class HealthPages(PageApplication):
    """The ASGI application of a role without a gateway; a gateway makes a route of each of `pages`.

    `otherwise` is the answer to all other paths.
    """

    def __init__(self, health: Health, otherwise: Problem | None = None) -> None:
        self._health = health
        self.pages: dict[str, PageFunction] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
        }
        super().__init__(self.pages, otherwise or Problem(Code.NOT_FOUND, "There is nothing here."))

    async def _livez(self, _scope: Any) -> Page:
        return json_page(200, {"status": "alive"})

    async def _readyz(self, _scope: Any) -> Page:
        errors = await self._health.why_not_ready()
        if errors:
            return json_page(503, {"status": "not ready", "errors": errors})
        return json_page(200, {"status": "ready"})

    async def _metrics(self, _scope: Any) -> Page:
        return Page(200, generate_latest(), CONTENT_TYPE_LATEST)
