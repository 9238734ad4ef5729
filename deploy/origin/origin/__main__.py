"""Command line of the origin: `python -m origin proxy`. Settings come from the environment."""

import argparse
import asyncio
import signal
import sys

import structlog
import uvloop
from common.running.http_server import HttpServer
from common.telemetry.logs import configure_logging
from pydantic import ValidationError

from origin.application import Origin
from origin.settings import OriginSettings

# The end of `shutdown_seconds`, for what does not finish by itself.
CLEANUP_SECONDS = 1.0

_log = structlog.get_logger("origin")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m origin", description=__doc__)
    parser.add_subparsers(dest="command", required=True).add_parser("proxy", help="run until SIGTERM")
    parser.parse_args()
    try:
        settings = OriginSettings()
    except ValidationError as error:
        sys.exit("\n".join(f"{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors()))
    configure_logging("origin", "proxy", style=settings.log_format, level=settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(serve(settings))
        except (OSError, ValueError) as error:
            sys.exit(f"cannot start: {error}")


async def serve(settings: OriginSettings) -> None:
    """Until SIGTERM or SIGINT. Answers that run then have until the end of `shutdown_seconds`."""
    stopping = asyncio.Event()
    origin = Origin(settings)

    def stop() -> None:
        origin.is_stopping = True
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    server = HttpServer(origin, settings)
    _log.info("listening", address=server.address)
    running = asyncio.create_task(server.run(stopping))
    stop_task = asyncio.create_task(stopping.wait())
    await asyncio.wait({running, stop_task}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({running}, timeout=max(0.0, settings.shutdown_seconds - CLEANUP_SECONDS))
    stop_task.cancel()
    if running.done():
        await running  # raises the error that ended it
    else:
        running.cancel()
    await origin.close()


if __name__ == "__main__":
    main()
