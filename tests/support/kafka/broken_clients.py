"""Kafka clients with failures of production."""

import asyncio
from typing import Any

from support.waiting import eventually


async def end_metadata_task(client: Any) -> None:
    """End the metadata task of an aiokafka client, as uvloop's error at a write to a closed connection does: aiokafka
    expects no `RuntimeError`, and does not restart the task."""
    task: asyncio.Task[None] = client._sync_task

    async def fail(*_: object) -> bool:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    async def has_ended() -> bool:
        return task.done()

    client._metadata_update = fail
    client.force_metadata_update()
    await eventually(has_ended)
