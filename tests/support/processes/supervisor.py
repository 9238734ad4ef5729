"""`python -m local_stack up` in a separate process, as `make up` runs it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from local_stack.server import READY_WITHIN
from local_stack.stack_json import NotRunningError, StackDescription, running_stack
from support.waiting import poll


class RunningSupervisor:
    def __init__(self, folder: Path, import_path: str, **environment: str) -> None:
        self.folder = folder
        self._calls = folder.with_suffix(".calls")
        self._output = folder.with_suffix(".output")
        wiring = {"STACK_DIR": str(folder), "PYTHONPATH": import_path, "CALLS": str(self._calls)}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local_stack", "up"],
                env={**os.environ, **wiring, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_ignore_interrupts,
            )

    def until_ready(self) -> StackDescription:
        def ready() -> StackDescription | None:
            assert self.process.poll() is None, self.output
            with contextlib.suppress(NotRunningError):
                return running_stack(self.folder)
            return None

        return poll(ready, within=READY_WITHIN)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(20)

    def pid_of(self, name: str) -> int:
        return next(each["pid"] for each in running_stack(self.folder)["processes"] if each["name"] == name)

    @property
    def output(self) -> str:
        return self._output.read_text()

    def calls(self, *arguments: str) -> list[dict[str, Any]]:
        """The calls of the fake services that begin with these arguments, as fake_service.py stored them."""
        calls = [json.loads(line) for line in self._calls.read_text().splitlines()]
        return [call for call in calls if call["arguments"][: len(arguments)] == list(arguments)]


def _ignore_interrupts() -> None:
    """Ignore SIGINT, as a background job of a script does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def assert_nothing_runs(folder: Path) -> None:
    """Check that all processes of the stack have ended within 5 seconds.

    PostgreSQL's child processes have their own sessions, and may end a moment after the supervisor.
    """
    poll(lambda: not processes_of(folder), within=5)


def processes_of(folder: Path) -> list[int]:
    """Running processes with the folder on their command line, in their environment, or as working directory."""
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and _uses(each, bytes(folder))]


def _uses(process: Path, folder: bytes) -> bool:
    with contextlib.suppress(OSError):
        texts = [
            bytes((process / "cwd").readlink()),
            *((process / name).read_bytes() for name in ("cmdline", "environ")),
        ]
        return any(folder in text for text in texts)
    return False
