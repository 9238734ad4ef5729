"""The lock of a stack's folder: one supervisor at a time."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

FILE = "lock"
WAIT_SECONDS = 1.0


class InUseError(Exception):
    """The folder is locked by another supervisor."""


@contextlib.contextmanager
def exclusive_use(folder: Path) -> Iterator[None]:
    """Lock the folder until the block or the process ends, in whatever way. Raises InUseError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+") as file:
        deadline = time.monotonic() + WAIT_SECONDS  # is_in_use() locks it for an instant
        while not _lock(file.fileno()):
            if time.monotonic() > deadline:
                file.seek(0)
                raise InUseError(f"a stack runs on {folder} already, its supervisor is process {file.read().strip()}")
            time.sleep(0.02)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def is_in_use(folder: Path) -> bool:
    """Whether a supervisor has locked the folder."""
    try:
        with (folder / FILE).open("a+") as file:
            return not _lock(file.fileno())
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
