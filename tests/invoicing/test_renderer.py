"""Documents are rendered in separate processes; a crash or hang of one fails only one attempt."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
import pytest
import pytest_asyncio
from invoicing.invoice_pdf import frames
from invoicing.invoice_pdf.document import render
from invoicing.invoice_pdf.renderer import Renderer, RenderingFailed
from support.example.invoice_snapshots import a_snapshot
from support.waiting import eventually_true

SNAPSHOT = a_snapshot()


@pytest_asyncio.fixture
async def renderer() -> AsyncIterator[Renderer]:
    async with Renderer(timeout=15) as running:
        yield running


def pid_of(renderer: Renderer) -> int:
    """The id of the only process, read while nothing is being rendered."""
    process = renderer._idle.get_nowait()
    renderer._idle.put_nowait(process)
    assert process is not None
    return process.pid


async def test_each_caller_of_concurrent_renderings_gets_its_own_document(renderer: Renderer) -> None:
    numbers = [f"INV-2026-{position:06d}" for position in range(1, 11)]
    pdfs = await asyncio.gather(*(renderer.render(a_snapshot(invoice_number=number)) for number in numbers))
    assert pdfs == [render(a_snapshot(invoice_number=number)) for number in numbers]


async def test_a_crashed_process_fails_one_attempt_and_is_replaced(renderer: Renderer) -> None:
    pid = pid_of(renderer)
    os.kill(pid, signal.SIGSTOP)
    attempt = asyncio.create_task(renderer.render(SNAPSHOT))
    await eventually_true(renderer._idle.empty)  # the process has the document
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RenderingFailed, match="ended before it answered"):
        await attempt
    assert await renderer.render(SNAPSHOT) == render(SNAPSHOT)
    assert pid_of(renderer) != pid


async def test_a_hanging_process_is_ended_after_its_timeout_and_replaced() -> None:
    async with Renderer(timeout=8) as renderer:
        await renderer.render(SNAPSHOT)
        pid = pid_of(renderer)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(RenderingFailed, match="no document within 8 s"):
            await renderer.render(SNAPSHOT)
        assert await renderer.render(SNAPSHOT) == render(SNAPSHOT)


async def test_a_rendering_error_is_raised_and_the_process_continues(renderer: Renderer) -> None:
    pid = pid_of(renderer)
    with pytest.raises(RenderingFailed, match="XYZ"):
        await renderer.render(replace(SNAPSHOT, currency="XYZ"))
    assert await renderer.render(SNAPSHOT) == render(SNAPSHOT)
    assert pid_of(renderer) == pid


async def test_the_result_of_an_abandoned_attempt_is_not_returned_to_the_next_one(renderer: Renderer) -> None:
    attempt = asyncio.create_task(renderer.render(a_snapshot(invoice_number="INV-2026-000002")))
    await asyncio.sleep(0)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    assert await renderer.render(SNAPSHOT) == render(SNAPSHOT)


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_a_snapshot_renders_to_the_same_bytes_in_every_process(seed: str) -> None:
    request = msgspec.json.encode(SNAPSHOT)
    response = subprocess.run(
        [sys.executable, "-m", "invoicing.invoice_pdf"],
        input=len(request).to_bytes(frames.LENGTH_BYTES) + request,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    ).stdout
    assert response[frames.LENGTH_BYTES :] == frames.RENDERED + render(SNAPSHOT)
