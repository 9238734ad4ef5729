"""The framing of snapshots and PDFs on a pipe: four bytes of length, then that many bytes."""

from asyncio.subprocess import Process
from typing import BinaryIO

LENGTH_BYTES = 4
# The first byte of an answer.
RENDERED, FAILED = b"\x00", b"\x01"


def read_frame(stream: BinaryIO) -> bytes | None:
    """None at the end of the stream, also when it ends within a frame."""
    length = stream.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    content = stream.read(int.from_bytes(length))
    return content if len(content) == int.from_bytes(length) else None


def write_frame(stream: BinaryIO, content: bytes) -> None:
    stream.write(len(content).to_bytes(LENGTH_BYTES) + content)
    stream.flush()


async def exchange(process: Process, request: bytes) -> bytes:
    """Write a frame to the process and read its answer.

    Raises `OSError` or `IncompleteReadError` when the process has ended.
    """
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a rendering process is started with pipes")
    process.stdin.write(len(request).to_bytes(LENGTH_BYTES) + request)
    await process.stdin.drain()
    length = await process.stdout.readexactly(LENGTH_BYTES)
    return await process.stdout.readexactly(int.from_bytes(length))
