"""A relay or a consumer in a separate process, which a test can kill or pause.

Run as `python -m support.processes.relay_and_consumer ROLE NAME DSN BOOTSTRAP TOPIC`.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from common.database.transactions import open_pool
from common.messaging.outgoing.relay import Relay
from common.running.role_components import RELAY_SERVER_SETTINGS
from local_stack import process
from support.kafka.subscribers import subscriber
from support.postgres.databases import Database
from support.waiting import eventually

TESTS = Path(__file__).parents[2]
LEASE_SECONDS = 1.5


class RoleProcess:
    """A running process, killed at the end of the block if it has not ended before."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    async def exit_status(self) -> int:
        """Wait at most 20 seconds for the end, and return the exit status of `subprocess`."""
        return await asyncio.wait_for(process.ended(self._child), 20)

    async def until_stopped(self) -> None:
        """Wait until SIGSTOP has stopped the process."""

        async def is_stopped() -> bool:
            return self._state() == "T"

        await eventually(is_stopped)

    def send(self, what: signal.Signals) -> None:
        self._child.send_signal(what)

    def _state(self) -> str:
        return Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextmanager
def role_process(
    role: Literal["relay", "consumer"],
    database: Database,
    bootstrap: str,
    topic: str,
    *,
    name: str = "member",
    failpoint: str = "",
) -> Iterator[RoleProcess]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "FAILPOINT": failpoint}
    command = [sys.executable, "-m", "support.processes.relay_and_consumer", role, name, database.dsn, bootstrap, topic]
    child = process.spawn(command, log=Path(os.devnull), environment=environment)
    try:
        yield RoleProcess(child)
    finally:
        process.kill_session(child)
        child.wait()


async def main(role: str, name: str, dsn: str, bootstrap: str, topic: str) -> None:
    settings = RELAY_SERVER_SETTINGS if role == "relay" else None
    pool = await open_pool(dsn, size=4, application_name=name, server_settings=settings)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    if role == "relay":
        await Relay(pool, bootstrap, name, source="orders", lease_seconds=LEASE_SECONDS).run(stopping)
    else:
        await subscriber(pool, bootstrap, [topic]).run(stopping)
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
