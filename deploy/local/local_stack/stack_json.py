"""`stack.json`: where everything of a running stack is, for people's scripts."""

import contextlib
import json
import os
from pathlib import Path
from typing import TypedDict, cast

from local_stack.files import write_private
from local_stack.lock import is_in_use

FILE = "stack.json"


class Address(TypedDict):
    url: str


class Bootstrap(TypedDict):
    bootstrap: str


class Mailbox(TypedDict):
    url: str
    smtp: str


class RunningProcess(TypedDict):
    name: str
    service: str
    role: str
    pid: int
    url: str
    log: str


class StackDescription(TypedDict):
    services: dict[str, Address]
    api_keys: dict[str, str]
    databases: dict[str, str]
    kafka: Bootstrap
    payment_sandbox: Address
    mailbox: Mailbox
    documents: str
    processes: list[RunningProcess]


class NotRunningError(Exception):
    """No stack is ready in this folder."""


def running_stack(folder: Path) -> StackDescription:
    """Read where a running stack is. Raises NotRunningError."""
    with contextlib.suppress(FileNotFoundError):
        content = json.loads((folder / FILE).read_text())
        # The file outlives a supervisor that was killed, until the next one has the lock and takes it away.
        if is_in_use(folder) and _is_alive(content.pop("supervisor_pid")):
            return cast(StackDescription, content)
    raise NotRunningError(f"no stack is ready in {folder}: start one with `make up`")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def publish(folder: Path, description: StackDescription) -> None:
    """For as long as this process runs."""
    write_private(folder / FILE, json.dumps({"supervisor_pid": os.getpid(), **description}, indent=2) + "\n")


def withdraw(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)
