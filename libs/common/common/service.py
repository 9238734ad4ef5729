"""The declaration of a service: its roles and topics, which each service's `app.py` fills in."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, MetaData, Table

from common.aggregates.counts import StatusCounts
from common.database.statements import Connection
from common.database.transactions import Pool, reading
from common.health import Health
from common.settings import ServiceSettings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

    from common.aggregates.event_counter import EventCounter
    from common.jobs.handler import JobHandler
    from common.messaging.incoming.records import Handlers
    from common.reconciliation.check import Check

ALL = "all"  # every role of a service in one process

Settings = TypeVar("Settings", bound=ServiceSettings)
JobHandlers: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[Iterable["JobHandler"]]]
Checks: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[Iterable["Check"]]]


@dataclass(frozen=True, slots=True)
class Runtime(Generic[Settings]):
    """The objects that the parts of a running service share."""

    service: "Service[Settings]"
    settings: Settings
    pool: Pool
    health: Health

    @classmethod
    def of(cls, request: "Request") -> "Runtime[Any]":
        """Of the application that answers this request."""
        runtime: Runtime[Any] = request.app.state.runtime
        return runtime

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """A connection without a transaction (`common.database.transactions.reading`)."""
        return reading(self.pool)


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """A command of one service, such as a check of its tables. `function` is called with the connection, and with the
    values of `arguments` (their names and meanings) and the `runtime` where it has parameters of these names. It gives
    a JSON object; the exit code is 1 where `fails` is true of it."""

    name: str
    meaning: str
    function: Callable[..., Awaitable[dict[str, Any]]]
    fails: Callable[[Mapping[str, Any]], bool] = lambda _: False
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service(Generic[Settings]):
    """A deployable service.

    `gateway` builds the application of the role `api`. The role `consumer` passes the events of the topics that the
    service `consumes` to `event_handlers`; an operator's replay of a poison record uses the same handlers. The role
    `worker` runs the jobs of `job_handlers`, an async context manager that closes the handlers' resources at its end,
    and beside them `worker_components`, by their names, until the process stops.
    The role `relay` is the same in every service; it also keeps the totals of `counts` up to date, and sets the gauges
    of the service's own `measurement`, and deletes the rows of its own tables for which a condition of `expired_rows`
    holds. The role
    `reconciler` runs the `checks` of the service after those of every service, and sends its alerts; `event_counter` is
    that of a service whose aggregates count their events themselves. `operator_commands` are commands that only this
    service has. These functions import the modules that only their role needs: the other roles then start faster and
    use less memory.
    """

    name: str
    settings: type[Settings]
    metadata: MetaData
    gateway: Callable[[Runtime[Settings]], "FastAPI"]
    publishes: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    event_handlers: Callable[[Settings], "Handlers"] = lambda _: {}
    job_handlers: JobHandlers[Settings] | None = None
    counts: StatusCounts[Any] | None = None
    worker_components: Mapping[str, Callable[["Runtime[Any]", asyncio.Event], Awaitable[None]]] = field(
        default_factory=dict
    )
    checks: Checks[Settings] | None = None
    event_counter: "EventCounter | None" = None
    operator_commands: Callable[[], Iterable[OperatorCommand]] = tuple
    measurement: Callable[[Settings], Callable[[Connection], Awaitable[None]]] | None = None
    expired_rows: Callable[[Settings], Iterable[tuple[Table, ColumnElement[bool]]]] = lambda _: ()

    @property
    def roles(self) -> tuple[str, ...]:
        consumer = ("consumer",) if self.consumes else ()
        worker = () if self.job_handlers is None else ("worker",)
        return ("api", *consumer, *worker, "relay", "reconciler")

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that must exist before the service runs."""
        from common.messaging.dead_letters import dead_letter_topic

        return (*self.publishes, *self.consumes, dead_letter_topic(self.name))
