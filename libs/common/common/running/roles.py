"""The roles of a process: waits for the migrated database, builds the roles' components, and runs them."""

import asyncio
import gc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic

import structlog

from common.component import Component, pause
from common.database.transactions import Pool, is_connection_failure, open_pool
from common.health import Health
from common.running.http_server import HttpServer
from common.running.role_components import RELAY_SERVER_SETTINGS, role_components
from common.service import Runtime, Service, Settings

_SHORTEST_WAIT, _LONGEST_WAIT = 0.1, 2.0

_log = structlog.get_logger(__name__)


class ComponentEnded(Exception):
    """A component returned although the process was not stopping."""


@dataclass(slots=True)
class Roles(Generic[Settings]):
    """`pools`: those of the roles that are built."""

    service: Service[Settings]
    settings: Settings
    names: Sequence[str]
    health: Health
    stopping: asyncio.Event
    pools: list[Pool] = field(default_factory=list)
    _are_built: bool = False

    def __post_init__(self) -> None:
        # The database may be ready before the roles are built.
        self.health.needs("roles", lambda: None if self._are_built else "being built", only_to_start=True)

    async def run(self, server: HttpServer) -> None:
        """Until the process stops. Raises `ComponentEnded`, and what a component raises."""
        await self._wait_for_migrations()
        if self.stopping.is_set():
            return
        gc.disable()  # imports and building leave little garbage, and collections take a fifth of their time (ADR 15)
        components = [component for name in self.names for component in await self._build(name, server)]
        for component in components:
            self.health.needs(component.name, component.not_ready, only_to_start=len(self.names) > 1)
        _freeze_heap()
        self._are_built = True
        async with asyncio.TaskGroup() as group:
            for component in components:
                group.create_task(self._run_component(component), name=component.name)

    async def _build(self, name: str, server: HttpServer) -> Iterable[Component]:
        runtime = Runtime(self.service, self.settings, await self._open_pool(name), self.health)
        if name != "api":
            return role_components(name, runtime)
        server.app = gateway = self.service.gateway(runtime)
        components: Iterable[Component] = gateway.state.components
        return components

    async def _run_component(self, component: Component) -> None:
        await component.run(self.stopping)
        if not self.stopping.is_set():
            raise ComponentEnded(component.name)

    async def _wait_for_migrations(self) -> None:
        """Return when the database is available and up to date, or when the process stops."""
        wait = _SHORTEST_WAIT
        while (reason := await self.health.migrations()) is not None and not self.stopping.is_set():
            _log.warning("waiting for the database", reason=reason)
            await pause(self.stopping, wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _open_pool(self, role: str) -> Pool:
        """Each role has its own pool, so that in one process no role can use up another's connections.

        Waits while the database is unavailable: it may have failed after the check of its migrations.
        """
        while True:
            try:
                pool = await open_pool(
                    self.settings.database_url,
                    size=self.settings.database_pool_size,
                    application_name=f"{self.service.name} {role}",
                    server_settings=RELAY_SERVER_SETTINGS if role == "relay" else None,
                )
            except Exception as error:
                if self.stopping.is_set() or not is_connection_failure(error):
                    raise
                _log.warning("waiting for the database", reason=f"{type(error).__name__}: {error}")
                await pause(self.stopping, _LONGEST_WAIT)
            else:
                self.pools.append(pool)
                return pool


def _freeze_heap() -> None:
    """Exclude what was imported and built from collections: a full one over it stops a process for tens of milliseconds
    (ADR 2)."""
    gc.collect()
    gc.freeze()
    gc.enable()
