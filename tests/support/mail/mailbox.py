"""The sandbox's mailbox as a process of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx


class Mailbox:
    """`deploy/sandbox` over HTTP: its faults, and the messages it was given."""

    def __init__(self, url: str, smtp: str) -> None:
        self.url = url
        self.host, _, port = smtp.rpartition(":")
        self.port = int(port)

    async def fail(self, mode: str, times: int | None = 1, recipient: str | None = None) -> None:
        """Without a recipient the fault strikes everybody."""
        await self._call("POST", "/sandbox/faults", json={"mode": mode, "times": times, "to": recipient})

    async def mend(self) -> None:
        await self._call("DELETE", "/sandbox/faults")

    async def messages_to(self, address: str) -> list[EmailMessage]:
        """Newest first."""
        found = (await self._call("GET", "/api/v1/search", params={"query": f"to:{address}"})).json()["messages"]
        raw = [(await self._call("GET", f"/api/v1/message/{each['ID']}/raw")).content for each in found]
        return [message_from_bytes(each, policy=policy.default) for each in raw]

    async def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url) as client:
            answer = await client.request(method, path, **options)
        assert answer.is_success, answer.text
        return answer


@contextmanager
def running_mailbox(data: Path) -> Iterator[Mailbox]:
    command = [sys.executable, "-m", "sandbox", "mailbox", "--smtp-port=0", "--http-port=0", f"--data={data}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        addresses = dict(re.findall(r"(http|smtp)=(\S+)", ready))
        assert addresses, f"the mailbox did not start: {ready}"
        yield Mailbox(f"http://{addresses['http']}", addresses["smtp"])
    finally:
        process.terminate()
        process.communicate(timeout=10)
