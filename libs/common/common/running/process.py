"""Runs one role of a service, or all of them, in one process: start, signals, and an end that always comes."""

import asyncio
import contextlib
import gc
import os
import signal
import threading
from typing import Generic

import structlog
import uvloop

from common.component import Component
from common.database.transactions import Pool, is_connection_failure, open_pool
from common.edge.pages.health_pages import HealthPages
from common.errors import Code, Problem
from common.health import Health
from common.pauses import pause
from common.running import relay_role
from common.running.event_loop import watch_event_loop
from common.running.http_server import HttpServer
from common.service import ALL, Runtime, Service, Settings
from common.settings import WrongSetting
from common.telemetry.logs import configure_logging

_STARTING = Problem(Code.UNAVAILABLE, "The service is starting.", retry_after=1)
_SHORTEST_WAIT, _LONGEST_WAIT = 0.1, 2.0
# Kept back from the time to stop, for cancelling what did not finish and closing connections.
_CLEANUP_SECONDS = 1.5

_log = structlog.get_logger(__name__)


def run(service: Service[Settings], settings: Settings, role: str) -> int:
    """Run until SIGTERM or SIGINT and return the exit code: 0 after a signal, 1 after a failure.

    A second signal ends the process at once, and so does the setting `shutdown_seconds` after the first.
    """
    configure_logging(service.name, role, style=settings.log_format, level=settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Process(service, settings, role).run())


class ComponentEnded(Exception):
    """A component returned although nothing had told it to stop."""


class _Process(Generic[Settings]):
    def __init__(self, service: Service[Settings], settings: Settings, role: str) -> None:
        self._service = service
        self._settings = settings
        self._roles = list(service.roles) if role == ALL else [role]
        self._stopping = asyncio.Event()
        self._health = Health(service.name, settings)
        self._pools: list[Pool] = []
        self._is_built = False

    async def run(self) -> int:
        self._listen_to_signals()
        stopped = asyncio.create_task(self._stopping.wait())
        everything = asyncio.create_task(self._run_everything())
        await asyncio.wait({stopped, everything}, return_when=asyncio.FIRST_COMPLETED)
        failed = not stopped.done()
        if failed:
            _tell(everything.exception())
            self._begin_to_stop(exit_code=1)
        await asyncio.wait({everything}, timeout=max(0.0, self._settings.shutdown_seconds - _CLEANUP_SECONDS))
        if not everything.done():
            _log.warning("not everything finished in time")
        await _end(everything)
        for pool in self._pools:
            await _close(pool)
        await self._health.close()
        _log.info("stopped")
        return 1 if failed else 0

    def _listen_to_signals(self) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, self._on_signal, each)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            os._exit(1)
        _log.info("stopping", signal=number.name)
        self._begin_to_stop(exit_code=0)

    def _begin_to_stop(self, exit_code: int) -> None:
        """From here on the end comes, also where the event loop or a thread hangs: a timer of its own sees to it."""
        self._health.is_stopping = True
        self._stopping.set()
        last_resort = threading.Timer(self._settings.shutdown_seconds, os._exit, [exit_code])
        last_resort.daemon = True
        last_resort.start()

    async def _run_everything(self) -> None:
        is_api = "api" in self._roles
        server = self._listen(HealthPages(self._health, _STARTING if is_api else None))
        _log.info("listening", address=server.address)
        # The database may be ready before the application and the components are.
        self._health.needs("roles", lambda: None if self._is_built else "being built", only_to_start=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run(self._stopping))
            group.create_task(watch_event_loop(self._stopping))
            group.create_task(self._run_roles(server))

    def _listen(self, app: HealthPages) -> HttpServer:
        host, port = self._settings.http_host, self._settings.http_port
        try:
            return HttpServer(app, self._settings)
        except OSError as error:
            raise WrongSetting(
                "HTTP_HOST or HTTP_PORT", f"cannot listen on {host}, port {port}: {error.strerror}"
            ) from error

    async def _run_roles(self, server: HttpServer) -> None:
        await self._wait_for_migrations()
        if self._stopping.is_set():
            return
        components: list[Component] = []
        gc.disable()  # imports leave next to no garbage, and looking for it takes a fifth of their time (ADR 0015)
        for role in self._roles:
            runtime = Runtime(self._service, self._settings, await self._open_pool(role), self._health)
            if role == "api":
                server.app = gateway = self._service.gateway(runtime)
                components += gateway.state.components
            else:
                build = relay_role.relay_components if role == "relay" else self._service.components[role]
                components += build(runtime)
        for component in components:
            self._health.needs(component.name, component.not_ready, only_to_start=len(self._roles) > 1)
        _settle_heap()
        self._is_built = True
        async with asyncio.TaskGroup() as group:
            for component in components:
                group.create_task(self._run_component(component), name=component.name)

    async def _run_component(self, component: Component) -> None:
        await component.run(self._stopping)
        if not self._stopping.is_set():
            raise ComponentEnded(component.name)

    async def _wait_for_migrations(self) -> None:
        """Return when the database is there and up to date, or when the process is to stop."""
        wait = _SHORTEST_WAIT
        while (reason := await self._health.migrations()) is not None and not self._stopping.is_set():
            _log.warning("waiting for the database", reason=reason)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _open_pool(self, role: str) -> Pool:
        """Each role has a pool of its own, so that in one process too none can take the others' connections.

        Waits for a database that went away after it had been found up to date.
        """
        while True:
            try:
                pool = await open_pool(
                    self._settings.database_url,
                    size=self._settings.database_pool_size,
                    application_name=f"{self._service.name} {role}",
                    server_settings=relay_role.SERVER_SETTINGS if role == "relay" else None,
                )
            except Exception as error:
                if self._stopping.is_set() or not is_connection_failure(error):
                    raise
                _log.warning("waiting for the database", reason=f"{type(error).__name__}: {error}")
                await pause(self._stopping, _LONGEST_WAIT)
            else:
                self._pools.append(pool)
                return pool


def _tell(failure: BaseException | None) -> None:
    """A wrong setting is told by its name; of anything else, where it happened matters."""
    wrong = _wrong_setting(failure)
    if wrong is None:
        _log.critical("stopped by a failure", exc_info=failure)
    else:
        _log.critical("stopped by a wrong setting", setting=wrong.name, problem=wrong.problem)


def _wrong_setting(failure: BaseException | None) -> WrongSetting | None:
    if isinstance(failure, BaseExceptionGroup):
        return next(filter(None, map(_wrong_setting, failure.exceptions)), None)
    return failure if isinstance(failure, WrongSetting) else None


def _settle_heap() -> None:
    """Take what was imported and built out of the collector's sight: a full collection over it stops a process for
    tens of milliseconds (ADR 0002)."""
    gc.collect()
    gc.freeze()
    gc.enable()


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel what is left, and do not wait for what cannot be cancelled."""
    task.cancel()
    await asyncio.wait({task}, timeout=_CLEANUP_SECONDS / 3)


async def _close(pool: Pool) -> None:
    try:
        async with asyncio.timeout(_CLEANUP_SECONDS / 3):
            await pool.close()
    except TimeoutError:
        pool.terminate()
