"""`stack.json`: where everything of a running stack is, for people's scripts."""

import json
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
    # The file outlives a supervisor that was killed; its lock does not.
    if not (folder / FILE).exists() or not is_in_use(folder):
        raise NotRunningError(f"no stack is ready in {folder}: start one with `make up`")
    return cast(StackDescription, json.loads((folder / FILE).read_text()))


def publish(folder: Path, description: StackDescription) -> None:
    write_private(folder / FILE, json.dumps(description, indent=2) + "\n")


def withdraw(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)
