"""The sandbox of `deploy/sandbox` (payment provider or mailbox) in a separate process, and its HTTP interface."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from support.processes.tls import TLS


class SandboxClient:
    def __init__(self, url: str) -> None:
        self.url = url

    async def mend(self) -> None:
        """Clear all faults."""
        await self._call("DELETE", "/sandbox/faults")

    async def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=60, verify=TLS) as client:
            answer = await client.request(method, path, **options)
        assert answer.is_success, answer.text
        return answer


@contextmanager
def running_sandbox(part: str, *options: str) -> Iterator[Mapping[str, str]]:
    """Yield the addresses by protocol (`http`, `smtp`) that the process prints when it listens."""
    command = [sys.executable, "-m", "sandbox", part, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        addresses = dict(re.findall(r"(http|smtp)=(\S+)", ready))
        assert addresses, f"{part} did not start: {ready}"
        yield addresses
    finally:
        process.terminate()
        process.communicate(timeout=10)
