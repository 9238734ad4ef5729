"""One request of a person: what a page's function gets."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from starlette.requests import Request

from console.operations import Operation
from console.person import Person
from console.services.client import ApiError, ServiceDown, segment
from console.services.monitoring import Monitoring
from console.services.services import Services

T = TypeVar("T")
# A person waits so long for a part of a page: one service that hangs must not hide the others.
PART_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """A part of a page that may be missing while the page shows the rest: its data, or why there is none."""

    data: T | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """`form` has the fields of a POST. The services are called as the person."""

    request: Request
    person: Person
    services: Services
    monitoring: Monitoring
    form: Mapping[str, str] = field(default_factory=dict)
    trace_url_template: str | None = None

    def path(self, name: str) -> str:
        """A parameter of the page's path."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str:
        """A parameter of the query without blanks at its ends; empty if it is missing."""
        return self.request.query_params.get(name, "").strip()

    @property
    def refreshes(self) -> bool:
        """Whether the page refreshes itself; `?refresh=off` stops it, also without JavaScript."""
        return self.query("refresh") != "off"

    def trace_url(self, trace_id: str) -> str | None:
        """The page of a trace; None where no tracing is set up."""
        template = self.trace_url_template
        return None if template is None else template.replace("{trace_id}", segment(trace_id))

    def may(self, operation: Operation) -> bool:
        return self.person.role in operation.roles

    async def part(self, call: Awaitable[T]) -> Part[T]:
        """The result of a call without which the page still has something to show."""
        try:
            async with asyncio.timeout(PART_SECONDS):
                return Part(await call)
        except TimeoutError:
            return Part(None, f"No answer within {PART_SECONDS:g} s.")
        except ServiceDown as down:
            return Part(None, down.message)
        except ApiError as error:
            if error.status == 401:
                raise
            return Part(None, error.message)

    async def parts(self, calls: Mapping[str, Awaitable[Any]]) -> dict[str, Part[Any]]:
        """Several of them at the same time, by name."""
        done = await asyncio.gather(*map(self.part, calls.values()))
        return dict(zip(calls, done, strict=True))
