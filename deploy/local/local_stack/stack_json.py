"""`stack.json`: addresses, keys and processes of a running stack, for scripts and tests."""

import contextlib
import json
import os
from pathlib import Path
from typing import TypedDict, cast

from local_stack.files import write_private
from local_stack.folder_lock import is_in_use

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
    gateway: Address
    console: Address
    services: dict[str, Address]
    api_keys: dict[str, str]
    databases: dict[str, str]
    kafka: Bootstrap
    payment_sandbox: Address
    mailbox: Mailbox
    documents: str
    processes: list[RunningProcess]


class NotRunningError(Exception):
    """No stack is running and ready in this folder."""


def running_stack(folder: Path) -> StackDescription:
    """The description of a running stack. Raises NotRunningError."""
    with contextlib.suppress(FileNotFoundError):
        content = json.loads((folder / FILE).read_text())
        # A killed supervisor leaves the file; the next one locks the folder before it removes it.
        if is_in_use(folder) and _is_alive(content.pop("supervisor_pid")):
            return cast(StackDescription, content)
    raise NotRunningError(f"no stack is ready in {folder}: start one with `make up`")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def write(folder: Path, description: StackDescription) -> None:
    """Write the file, which is valid as long as this process runs."""
    write_private(folder / FILE, json.dumps({"supervisor_pid": os.getpid(), **description}, indent=2) + "\n")


def remove(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)
