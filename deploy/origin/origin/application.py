"""The ASGI application of the origin: which requests are forwarded to which service, and which it answers itself."""

import time
from pathlib import Path
from typing import Any

import httpcore
import msgspec
import structlog
import yaml
from common.edge.pages.health_pages import open_pages
from common.edge.pages.page_application import Page, PageApplication, PageFunction, send_refusal
from common.errors import Code, Problem
from prometheus_client import Histogram

from origin.forwarding import forward
from origin.joined_pages import INCLUDE, JoinedPages
from origin.request_bodies import ClientGone, RequestBodies
from origin.settings import OriginSettings
from origin.upstream import Upstream

PREFIX = "/api/v1"
# The interactive documents: the gateways' own page, which reads /openapi.json of the address where it is shown.
_DOCUMENTS = ("/docs", "/static-offline-docs")
_NOT_HERE = "There is nothing here; operators' routes are at the address of each service."

_duration = Histogram(
    "origin_request_duration_seconds",
    "Time from the request's head to the answer's end, of requests to both gateways",
    ["target", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10),
)
_log = structlog.get_logger(__name__)


class Origin:
    """Set `is_stopping` when the process begins to stop. Close it at the end."""

    def __init__(self, settings: OriginSettings) -> None:
        """Raises `OSError` or `ValueError` for an OpenAPI document that cannot be read."""
        self.is_stopping = False
        self._orders = Upstream("orders", settings.orders_url, settings.source_address)
        self._returns = Upstream("returns", settings.returns_url, settings.source_address)
        # Connections of its own: a client needs no key for the documents, and a slow one keeps its connection.
        self._documents = Upstream("orders", settings.orders_url, settings.source_address)
        self._bodies = RequestBodies(settings.max_body_bytes)
        self._targets = {
            f"{PREFIX}/orders": self._orders,
            f"{PREFIX}/returns": self._returns,
            **dict.fromkeys(_DOCUMENTS, self._documents),
        }
        joined = JoinedPages((self._orders, self._returns))
        pages: dict[str, PageFunction] = {
            f"{PREFIX}/metrics": joined.metrics,
            f"{PREFIX}/health": joined.health,
            **open_pages(lambda: self.is_stopping),
        }
        if settings.openapi_file is not None:
            pages["/openapi.json"] = _document_page(settings.openapi_file)
        parameters = {f"{PREFIX}/metrics": frozenset({INCLUDE})}
        self._pages = PageApplication(pages, Problem(Code.NOT_FOUND, _NOT_HERE), parameters)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        upstream = self._target_of(scope["path"])
        if upstream is None:
            await self._pages(scope, receive, send)
            return
        started, status = time.perf_counter(), 499
        try:
            status = await forward(upstream, self._bodies, scope, receive, send)
        except ClientGone:
            pass
        except Problem as problem:
            status = problem.code.status
            await send_refusal(problem, scope, send)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            _log.warning("answer ended too early", target=upstream.name, reason=f"{type(error).__name__}: {error}")
            raise  # a part of the answer is sent: the server ends the connection
        finally:
            _duration.labels(upstream.name, str(status)).observe(time.perf_counter() - started)

    async def close(self) -> None:
        for upstream in (self._orders, self._returns, self._documents):
            await upstream.close()

    def _target_of(self, path: str) -> Upstream | None:
        for prefix, upstream in self._targets.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                return upstream
        return None


def _document_page(file: Path) -> PageFunction:
    """The document as JSON. Its `servers` become the address where it is read."""
    document = yaml.safe_load(file.read_bytes())
    document["servers"] = [{"url": "/"}]
    for path in document.get("paths", {}).values():
        path.pop("servers", None)
    body = msgspec.json.encode(document, enc_hook=str)

    async def page(_scope: Any) -> Page:
        return Page(200, body)

    return page
