"""The task of an aiokafka client that keeps the cluster's metadata, which nobody looks after.

uvloop answers a write to a closed connection with a `RuntimeError`, which aiokafka does not expect: the task ends, and
whatever needs metadata then waits for ever (ADR 0014).
"""

from typing import Any


def is_lost(client: Any) -> bool:
    return client._sync_task is not None and client._sync_task.done()


def forget(client: Any) -> None:
    """Let the client be closed: it would wait for the lost task, be told what ended it, and leave connections open."""
    if is_lost(client):
        client._sync_task = None
