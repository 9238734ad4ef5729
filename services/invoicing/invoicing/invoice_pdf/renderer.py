"""Renders invoices in child processes: typesetting is computation of milliseconds, which would block the event loop."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from typing import Self

import msgspec

from invoicing.domain.snapshot import Snapshot
from invoicing.invoice_pdf.frames import RENDERED, exchange

_encoder = msgspec.json.Encoder()


class RenderingFailed(Exception):
    """The process crashed, took too long, or answered with an error."""


class Renderer:
    """A pool of child processes; one that crashes or hangs is replaced. `timeout` is in seconds per document."""

    def __init__(self, *, processes: int = 1, timeout: float = 15) -> None:
        self._processes = processes
        self._timeout = timeout
        self._idle: asyncio.LifoQueue[Process | None] = asyncio.LifoQueue()

    async def __aenter__(self) -> Self:
        """Starts the processes now, so that the first document does not wait for their imports."""
        for _ in range(self._processes):
            self._idle.put_nowait(await _start())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Only when no document is being rendered any more."""
        while not self._idle.empty():
            process = self._idle.get_nowait()
            if process is not None:
                await _end(process)

    async def render(self, snapshot: Snapshot) -> bytes:
        """The PDF, once a process is free. Raises `RenderingFailed`."""
        process = await self._idle.get()
        healthy = None
        try:
            async with asyncio.timeout(self._timeout):
                process = process if process is not None and process.returncode is None else await _start()
                answer = await exchange(process, _encoder.encode(snapshot))
            healthy = process
        except TimeoutError as error:
            raise RenderingFailed(f"no document within {self._timeout:g} s") from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise RenderingFailed("the rendering process ended before it answered") from error
        finally:
            if healthy is None and process is not None:
                await _end(process)
            self._idle.put_nowait(healthy)
        if not answer.startswith(RENDERED):
            raise RenderingFailed(answer[1:].decode())
        return answer[1:]


async def _start() -> Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "invoicing.invoice_pdf", stdin=PIPE, stdout=PIPE)


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
