"""Hanging servers: the processes exist, the ports are open, and nothing responds."""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from local_stack.server import Server


@runtime_checkable
class HangsByItself(Protocol):
    """A container, which cannot be stopped by the ids of its processes where the tests do not run as root."""

    def paused(self) -> AbstractContextManager[None]: ...


def paused(server: Server) -> AbstractContextManager[None]:
    """Let a server and its child processes hang during the block."""
    if isinstance(server, HangsByItself):
        return server.paused()
    return _stopped(server.pid)


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    family = [pid, *_children(pid)]
    for each in family:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in family:
            os.kill(each, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    pids = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                pids.append(int(process.name))
    return pids
