"""One long-running child: how it is started, when it is ready, how it ends."""

import contextlib
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from local_stack import process


class StartError(Exception):
    """A server ended, or did not answer in time, while it was started."""


class Server(ABC):
    """`start()`, `stop()` and `kill()` are for scripts and fixtures; the supervisor drives the steps itself."""

    name: str
    log: Path
    stop_signal = signal.SIGTERM
    grace = 10.0
    # How often a start may fail before it counts; more than one where a crash leaves something that passes by itself.
    start_attempts = 1

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Do what must be done before the first start; nothing at later ones."""

    @abstractmethod
    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process and return at once."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Ask the running process whether it answers."""

    def spawn(self) -> None:
        self._process = self.launch()

    def start(self, timeout: float = 30.0) -> Self:
        """Prepare, start and wait until ready. Raises StartError with the last lines of the log."""
        self.prepare()
        self.spawn()
        self.wait_until_ready(timeout)
        return self

    def wait_until_ready(self, timeout: float = 30.0) -> None:
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
        """Wait until it has ended and return its exit code; None if it was not started."""
        return None if self._process is None else await process.ended(self._process)

    def stop(self) -> None:
        """End it in good order; after `grace` seconds in any order."""
        self.ask_to_stop()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.grace)
        self.kill()

    def ask_to_stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self.stop_signal)

    def kill(self) -> None:
        """SIGKILL to it and to whatever it started: nothing is flushed, and data must survive it."""
        if self._process is not None:
            process.kill_session(self._process)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()
