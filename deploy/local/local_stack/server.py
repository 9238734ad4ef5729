"""A long-running child process: start, readiness, stop."""

import contextlib
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from local_stack import process

# A broker starts in three seconds; on a machine that is busy with other work it has taken 40.
READY_WITHIN = 120.0


class StartError(Exception):
    """A server ended during its start, or was not ready in time."""


class Server(ABC):
    """Scripts and fixtures call `start()`, `stop()` and `kill()`; the supervisor calls the single steps."""

    name: str
    log: Path
    stop_signal = signal.SIGTERM
    grace = 10.0
    # Attempts before a start has failed; more than one for a server that cannot start for a moment after a crash.
    start_attempts = 1

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Create what the first start needs; later calls change nothing."""

    @abstractmethod
    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, without waiting until it is ready."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the running process answers a request."""

    def spawn(self) -> None:
        self._process = self.launch()

    def start(self, timeout: float = READY_WITHIN) -> Self:
        """Prepare, start and wait until ready. Raises StartError with the last lines of the log."""
        self.prepare()
        self.spawn()
        self.wait_until_ready(timeout)
        return self

    def wait_until_ready(self, timeout: float = READY_WITHIN) -> None:
        deadline = time.monotonic() + timeout
        failures = 0
        while not self.is_ready():
            if not self.is_running():
                failures += 1
                if failures >= self.start_attempts:
                    raise StartError(f"{self.name} ended while starting, see {self.log}:\n{process.tail(self.log)}")
                time.sleep(0.1)
                self.spawn()
            if time.monotonic() > deadline:
                self.kill()
                raise StartError(f"{self.name} is not ready after {timeout:g} s:\n{process.tail(self.log)}")
            time.sleep(0.02)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    async def ended(self) -> int | None:
        """Wait for the end of the process and return its exit code; None if it was not started."""
        return None if self._process is None else await process.ended(self._process)

    def stop(self) -> None:
        """Send the stop signal; after `grace` seconds, kill."""
        self.send_stop_signal()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.grace)
        self.kill()

    def send_stop_signal(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self.stop_signal)

    def kill(self) -> None:
        """Send SIGKILL to the process and its children. Nothing is flushed; data on disk must survive that."""
        if self._process is not None:
            process.kill_session(self._process)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()
