"""Child processes that end when the process that started them ends."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local_stack.logs import printable
from local_stack.privileges import drop_privileges

PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path("/"),
    death_signal: signal.Signals = signal.SIGKILL,
    unprivileged: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a child in its own session: Ctrl-C reaches only this process, which stops its children in order.

    The child receives `death_signal` when the *thread* that called this function ends, in whatever way
    (PR_SET_PDEATHSIG): call it from the main thread for a long-running child. With `unprivileged`, a child of root
    runs as nobody.
    """
    parent = os.getpid()

    def prepare_child() -> None:
        if unprivileged:
            drop_privileges()
        _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
            preexec_fn=prepare_child,
        )


def run(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    unprivileged: bool = False,
) -> None:
    """Run a command and wait for its end. Raises CommandError with the last lines of its log."""
    process = spawn(command, log=log, environment=environment, unprivileged=unprivileged)
    try:
        code = process.wait()
    finally:
        kill_session(process)
    if code != 0:
        raise CommandError(f"{Path(str(command[0])).name} ended with {code}:\n{tail(log)}")


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a child, without polling or a thread, and return its exit code (negative for a signal)."""
    if process.poll() is None:
        loop, end = asyncio.get_running_loop(), asyncio.Event()
        descriptor = os.pidfd_open(process.pid)  # Linux 5.3
        loop.add_reader(descriptor, end.set)
        try:
            await end.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
    return process.wait()


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to a child and its own children, also to those that outlive it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, safe for a terminal."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return printable("\n".join(text.splitlines()[-lines:]))


class CommandError(Exception):
    """A command failed; the message has the last lines of its log."""
