"""The role `worker` of a service in a separate process, which a failpoint can kill."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from support.postgres.databases import Database
from support.waiting import eventually_true

StartWorker = Callable[..., subprocess.Popen[bytes]]
LEASE_SECONDS = 1


@contextmanager
def worker_starter(service: str, database: Database, **wiring: str) -> Iterator[StartWorker]:
    """Yield `start(FAILPOINT=…)`, which starts a worker with short retry delays. All are killed at the end."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(**environment: str) -> subprocess.Popen[bytes]:
        common = {
            "PATH": os.defpath,
            "DATABASE_URL": database.dsn,
            "KAFKA_BOOTSTRAP": "127.0.0.1:9",
            "HTTP_PORT": "0",
            "RETRY_UNIT_SECONDS": "0.02",
            "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        command = [sys.executable, "-m", service, "worker"]
        processes.append(subprocess.Popen(command, env={**common, **wiring, **environment}))
        return processes[-1]

    try:
        yield start
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def killed(process: subprocess.Popen[bytes]) -> None:
    """Wait until the failpoint has killed the process."""
    await eventually_true(lambda: process.poll() == -signal.SIGKILL, within=30)
