"""The process of one role of a service, or of all: start, signals, and a shutdown with a time limit."""

import asyncio
import os
import signal
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Generic

import structlog
import uvloop
from prometheus_client import Gauge

from common.component import pause
from common.database.transactions import Pool
from common.edge.pages.health_pages import HealthPages
from common.errors import Problem
from common.health import Health
from common.running.http_server import HttpServer
from common.running.roles import Roles
from common.service import ALL, Service, Settings
from common.settings import ServiceSettings, WrongSetting
from common.telemetry.logs import configure_logging

_STARTING = Problem.unavailable("The service is starting.")
# The end of `shutdown_seconds`, for cancelling what has not finished and closing connections.
_CLEANUP_SECONDS = 1.5

_LOOP_INTERVAL_SECONDS = 0.5

_log = structlog.get_logger(__name__)
_lag = Gauge("event_loop_lag_seconds", "Delay of the event loop in seconds: the recent maximum")


def run(service: Service[Settings], settings: Settings, role: str) -> int:
    """Run until SIGTERM or SIGINT, and return the exit code: 0 after a signal, 1 after a failure.

    The process exits at a second signal, and `shutdown_seconds` after the first one even if something still runs.
    """
    configure_logging(service.name, role, style=settings.log_format, level=settings.log_level)
    with (
        _tracing(service.name, role, settings),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_Process(service, settings, role).run())


def _tracing(service: str, role: str, settings: ServiceSettings) -> AbstractContextManager[None]:
    """The SDK is imported only where there is a collector: it takes a tenth of a second and megabytes."""
    if not settings.exports_traces:
        return nullcontext()
    from common.telemetry.span_export import exporting_over_http

    return exporting_over_http(service, role)


class _Process(Generic[Settings]):
    def __init__(self, service: Service[Settings], settings: Settings, role: str) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._health = Health(service.name, settings)
        names = service.roles if role == ALL else (role,)
        self._roles = Roles(service, settings, names, self._health, self._stopping)

    async def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        stop_task = asyncio.create_task(self._stopping.wait())
        serve_task = asyncio.create_task(self._serve())
        await asyncio.wait({stop_task, serve_task}, return_when=asyncio.FIRST_COMPLETED)
        has_failed = not stop_task.done()
        if has_failed:
            _log_failure(serve_task.exception())
            self._begin_shutdown(exit_code=1)
        await asyncio.wait({serve_task}, timeout=max(0.0, self._settings.shutdown_seconds - _CLEANUP_SECONDS))
        if not serve_task.done():
            _log.warning("not everything finished in time")
        serve_task.cancel()
        await asyncio.wait({serve_task}, timeout=_CLEANUP_SECONDS / 3)  # a task may ignore its cancellation
        for pool in self._roles.pools:
            await _close(pool)
        await self._health.close()
        _log.info("stopped")
        return 1 if has_failed else 0

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            os._exit(1)
        _log.info("stopping", signal=number.name)
        self._begin_shutdown(exit_code=0)

    def _begin_shutdown(self, exit_code: int) -> None:
        """Start a timer in a thread of its own, so that the process exits even when the event loop is blocked."""
        self._health.is_stopping = True
        self._stopping.set()
        time_limit = threading.Timer(self._settings.shutdown_seconds, os._exit, [exit_code])
        time_limit.daemon = True
        time_limit.start()

    async def _serve(self) -> None:
        server = self._listen()
        _log.info("listening", address=server.address)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run(self._stopping))
            group.create_task(_watch_event_loop(self._stopping))
            group.create_task(self._roles.run(server))

    def _listen(self) -> HttpServer:
        """The health pages are served from the start; the role `api` replaces them with its application."""
        host, port = self._settings.http_host, self._settings.http_port
        pages = HealthPages(self._health, _STARTING if "api" in self._roles.names else None)
        try:
            return HttpServer(pages, self._settings)
        except OSError as error:
            problem = f"cannot listen on {host}, port {port}: {error.strerror}"
            raise WrongSetting("HTTP_HOST or HTTP_PORT", problem) from error


def _log_failure(failure: BaseException | None) -> None:
    """A wrong setting is logged by its name; any other failure with its traceback."""
    wrong = _wrong_setting(failure)
    if wrong is None:
        _log.critical("stopped by a failure", exc_info=failure)
    else:
        _log.critical("stopped by a wrong setting", setting=wrong.name, problem=wrong.problem)


def _wrong_setting(failure: BaseException | None) -> WrongSetting | None:
    if isinstance(failure, BaseExceptionGroup):
        return next(filter(None, map(_wrong_setting, failure.exceptions)), None)
    return failure if isinstance(failure, WrongSetting) else None


async def _close(pool: Pool) -> None:
    """Wait at most a third of the clean-up time for the connections in use, then end them."""
    try:
        async with asyncio.timeout(_CLEANUP_SECONDS / 3):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _watch_event_loop(stopping: asyncio.Event) -> None:
    """Measure the delay of the event loop: a blocked loop misses heartbeats, leases and health checks. The gauge decays
    slowly, so that a scrape sees the delays since the last one."""
    worst = 0.0
    while not stopping.is_set():
        started = time.monotonic()
        await pause(stopping, _LOOP_INTERVAL_SECONDS)
        worst = max(time.monotonic() - started - _LOOP_INTERVAL_SECONDS, worst * 0.9, 0.0)
        _lag.set(worst)
