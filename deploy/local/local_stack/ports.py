"""Ports of 127.0.0.1: asked for, remembered from the last run, or chosen free."""

import json
import random
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from local_stack.files import read_json, write_private

# Below the ports the kernel gives to outgoing connections: one of those could take the place of a server that is being
# restarted, and a client that keeps knocking at a closed port of that range can end up connected to itself.
CHOICE = range(15000, 32768)
PATIENCE_SECONDS = 3.0


class PortTakenError(Exception):
    """A port that was asked for is in use."""


def free_ports(count: int) -> list[int]:
    """Different ports nobody listens on now."""
    chosen: list[int] = []
    for port in random.sample(CHOICE, len(CHOICE)):
        if len(chosen) == count:
            break
        if is_free(port):
            chosen.append(port)
    return chosen


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def assign_ports(names: Iterable[str], asked: Mapping[str, int], memory: Path) -> dict[str, int]:
    """Give each name a port: the one asked for, else the one of the last run, else a free one; and remember it.

    Raises PortTakenError when one that was asked for is in use.
    """
    remembered: dict[str, int] = read_json(memory, {})
    ports: dict[str, int] = {}
    for name in names:
        if name in asked and not _becomes_free(asked[name]):
            raise PortTakenError(f"port {asked[name]} for {name} is in use on 127.0.0.1")
        ports[name] = asked.get(name) or _remembered(remembered.get(name)) or 0
    unassigned = [name for name, port in ports.items() if not port]
    ports |= zip(unassigned, free_ports(len(unassigned)), strict=True)
    write_private(memory, json.dumps(remembered | ports))
    return ports


def _remembered(port: int | None) -> int | None:
    return port if port and _becomes_free(port) else None


def _becomes_free(port: int) -> bool:
    """Wait a moment: what listens may be a process of a killed stack that is about to end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
