"""Client of one service's API, which calls it as the person who is logged in."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import structlog
from prometheus_client import Histogram

from console.page_trace import trace_header
from console.person import Person

PREFIX = "/api/v1"
ANSWER_SECONDS = 10.0

_duration = Histogram(
    "console_service_call_duration_seconds",
    "Time of the console's calls of the services",
    ["target", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
# Amounts are decimals on their way to a page and back.
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_log = structlog.get_logger(__name__)


@dataclass
class ApiError(Exception):
    """The service refused the request, in the shape of the HTTP contract."""

    service: str
    status: int
    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    retry_after: str | None = None

    @property
    def may_have_acted(self) -> bool:
        """Whether the request may have had its effect, or may still be running. It can only be repeated safely with the
        same idempotency key."""
        return self.status >= 500 or (self.status == 409 and self.retry_after is not None)

    @property
    def problems(self) -> list[str]:
        """One line for each field that was not valid; otherwise the message."""
        errors = self.details.get("errors") or []
        return [f"{each['field']}: {each['issue']}" for each in errors] or [self.message]


@dataclass
class ServiceDown(Exception):
    """The service gave no answer. `may_have_acted`: the request was sent, and may have had an effect."""

    service: str
    may_have_acted: bool = False

    @property
    def message(self) -> str:
        if self.may_have_acted:
            return f"The service {self.service} gave no answer. Look whether the change was made before you repeat it."
        return f"The service {self.service} cannot be reached."


@dataclass(frozen=True, slots=True)
class Document:
    """A file of a service, such as an invoice."""

    content: bytes
    media_type: str


class ServiceClient:
    """`get` and `send` raise `ApiError` and `ServiceDown`."""

    def __init__(self, name: str, url: str, http: httpx.AsyncClient, person: Person) -> None:
        self.name = name
        self._url = url + PREFIX
        self._http = http
        self._person = person

    async def get(self, path: str, /, **parameters: object) -> Any:
        """The JSON of `GET path`; `path` begins after `/api/v1`. Parameters that are None or empty are left out."""
        query = {name: str(value) for name, value in parameters.items() if value not in (None, "")}
        return _decoder.decode((await self._call("GET", path, params=query)).content)

    async def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        version: str | None = None,
    ) -> Any:
        """The JSON of a request that changes something. `key` is its idempotency key; with a `version`, the object is
        changed only if it still has it."""
        headers = {} if not key else {"Idempotency-Key": key}
        content = None
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = _encoder.encode(body)
        response = await self._call(method, path, content=content, headers=headers)
        return _decoder.decode(response.content) if response.content else None

    async def download(self, path: str) -> Document:
        response = await self._call("GET", path)
        return Document(response.content, response.headers.get("content-type", "application/octet-stream"))

    async def _call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **content: Any
    ) -> httpx.Response:
        all_headers = {**self._person.credential.headers, **trace_header(), **(headers or {})}
        if self._person.ip_address is not None:
            all_headers["X-Forwarded-For"] = self._person.ip_address
        loop = asyncio.get_running_loop()
        started, status = loop.time(), "none"
        try:
            response = await self._http.request(method, self._url + path, headers=all_headers, **content)
            status = str(response.status_code)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise ServiceDown(self.name) from None
        except httpx.TransportError as error:
            _log.warning("no answer", target=self.name, reason=f"{type(error).__name__}: {error}")
            raise ServiceDown(self.name, may_have_acted=method != "GET") from None
        finally:
            _duration.labels(self.name, method, status).observe(loop.time() - started)
        if response.status_code >= 400:
            raise _error(self.name, response)
        return response


def segment(value: object) -> str:
    """A value as one segment of a path: nothing that a person enters can lead to another route."""
    text = quote(str(value), safe="")
    return text.replace(".", "%2E") if set(text) == {"."} else text


def _error(service: str, response: httpx.Response) -> ApiError:
    try:
        error = response.json()["error"]
        code, message, details = error["code"], error["message"], error.get("details") or {}
    except (ValueError, KeyError, TypeError):  # of something between the console and the service
        code, message, details = "INTERNAL_ERROR", f"The service {service} answered {response.status_code}.", {}
    return ApiError(service, response.status_code, code, message, details, response.headers.get("retry-after"))
