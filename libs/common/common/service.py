"""What a service is made of, as far as running it goes; each service's `app.py` fills this in."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import MetaData

from common.aggregates.counts import StatusCounts
from common.component import Component
from common.database.transactions import Pool
from common.health import Health
from common.settings import ServiceSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from common.messaging.incoming.records import Handlers

ALL = "all"  # every role of a service in one process

Settings = TypeVar("Settings", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Runtime(Generic[Settings]):
    """What the parts of a running service share."""

    service: "Service[Settings]"
    settings: Settings
    pool: Pool
    health: Health


@dataclass(frozen=True, slots=True)
class Service(Generic[Settings]):
    """A deployable service.

    `gateway` builds the application of the role `api`; `components` has a builder for each other role of its own
    (`consumer`, `worker`); every service has the role `relay`, which is the same everywhere. Builders import what only
    their role needs inside themselves: that keeps the other roles small and quick to start. `event_handlers` are those
    of the role `consumer`, here so that an operator can put a kept record through them again. `counts` is
    what the service counts by status; the role `relay` keeps the totals up to date.
    """

    name: str
    settings: type[Settings]
    metadata: MetaData
    topics: tuple[str, ...]
    gateway: Callable[[Runtime[Settings]], "FastAPI"]
    components: Mapping[str, Callable[[Runtime[Settings]], Iterable[Component]]] = field(default_factory=dict)
    event_handlers: Callable[[Runtime[Settings]], "Handlers"] = lambda _: {}
    counts: StatusCounts[Any] | None = None

    @property
    def roles(self) -> tuple[str, ...]:
        return ("api", *self.components, "relay")
