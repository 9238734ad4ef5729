"""Choice of ports on 127.0.0.1: requested, the same as in the previous run, or any free one."""

import json
import random
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from local_stack.files import read_json, write_private

# Below the kernel's range for outgoing connections (ip_local_port_range): such a connection could occupy the port of a
# server that is being restarted, and a client that retries a closed port of that range can connect to itself.
PORT_RANGE = range(15000, 32768)
WAIT_SECONDS = 3.0


class PortTakenError(Exception):
    """A requested port is in use."""


def free_ports(count: int) -> list[int]:
    """Distinct ports that nothing listens on at the moment."""
    chosen: list[int] = []
    for port in random.sample(PORT_RANGE, len(PORT_RANGE)):
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


def assign_ports(names: Iterable[str], requested: Mapping[str, int], file: Path) -> dict[str, int]:
    """A port for each name: the requested one, else that of the previous run, which `file` holds, else a free one.

    Raises PortTakenError when a requested port is in use.
    """
    previous: dict[str, int] = read_json(file, {})
    ports: dict[str, int] = {}
    for name in names:
        if name in requested and not _becomes_free(requested[name]):
            raise PortTakenError(f"port {requested[name]} for {name} is in use on 127.0.0.1")
        ports[name] = requested.get(name) or _if_free(previous.get(name)) or 0
    unassigned = [name for name, port in ports.items() if not port]
    ports |= zip(unassigned, free_ports(len(unassigned)), strict=True)
    write_private(file, json.dumps(previous | ports))
    return ports


def _if_free(port: int | None) -> int | None:
    return port if port and _becomes_free(port) else None


def _becomes_free(port: int) -> bool:
    """Wait up to WAIT_SECONDS: the port may be that of a killed stack's process that is about to end."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
