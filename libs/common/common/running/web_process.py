"""The process of a web application that has no database, such as a proxy: start, signals, and a shutdown with a time
limit."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import structlog
import uvloop
from pydantic import ValidationError

from common.running.http_server import HttpServer
from common.settings import ProcessSettings
from common.telemetry.logs import configure_logging

# The end of `shutdown_seconds`, for what does not finish by itself.
_CLEANUP_SECONDS = 1.0

Settings = TypeVar("Settings", bound=ProcessSettings)

_log = structlog.get_logger(__name__)


class WebApplication(Protocol):
    """An ASGI application. `is_stopping` is set when the process begins to stop; `close` is called at the end."""

    is_stopping: bool

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def close(self) -> None: ...


def run(name: str, role: str, settings_type: type[Settings], make: Callable[[Settings], WebApplication]) -> None:
    """Read the settings from the environment and serve until SIGTERM. Exits with a message when it cannot start."""
    try:
        settings = settings_type()
    except ValidationError as error:
        sys.exit("\n".join(f"{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()))
    configure_logging(name, role, style=settings.log_format, level=settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(settings, make))
        except (OSError, ValueError) as error:
            sys.exit(f"cannot start: {error}")


async def _serve(settings: Settings, make: Callable[[Settings], WebApplication]) -> None:
    """Until SIGTERM or SIGINT. Answers that run then have until the end of `shutdown_seconds`."""
    stopping = asyncio.Event()
    application = make(settings)

    def stop() -> None:
        application.is_stopping = True
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    server = HttpServer(application, settings)
    _log.info("listening", address=server.address)
    running = asyncio.create_task(server.run(stopping))
    stop_task = asyncio.create_task(stopping.wait())
    await asyncio.wait({running, stop_task}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({running}, timeout=max(0.0, settings.shutdown_seconds - _CLEANUP_SECONDS))
    stop_task.cancel()
    if running.done():
        await running  # raises the error that ended it
    else:
        running.cancel()
    await application.close()
