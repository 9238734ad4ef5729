"""The pages `/livez`, `/readyz` and `/metrics`, as an ASGI application without a web framework: for every role."""

from collections.abc import Callable
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
            "/livez": _livez,
            "/readyz": self._readyz,
            "/metrics": _metrics,
        }
        super().__init__(self.pages, otherwise or Problem(Code.NOT_FOUND, "There is nothing here."))

    async def _readyz(self, _scope: Any) -> Page:
        return _readiness(await self._health.why_not_ready())


def open_pages(is_stopping: Callable[[], bool]) -> dict[str, PageFunction]:
    """The same pages of a process without a database: it is ready as long as it runs, and its own pages say which
    services are down."""

    async def readyz(_scope: Any) -> Page:
        return _readiness(["stopping"] if is_stopping() else [])

    return {"/livez": _livez, "/readyz": readyz, "/metrics": _metrics}


async def _livez(_scope: Any) -> Page:
    return json_page(200, {"status": "alive"})


async def _metrics(_scope: Any) -> Page:
    return Page(200, generate_latest(), CONTENT_TYPE_LATEST)


def _readiness(errors: list[str]) -> Page:
    if errors:
        return json_page(503, {"status": "not ready", "errors": errors})
    return json_page(200, {"status": "ready"})
