"""The mailbox of the sandbox in a separate process."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from support.processes.sandbox import SandboxClient, running_sandbox


class Mailbox(SandboxClient):
    """The mailbox over HTTP: its faults, and the messages that were sent to it."""

    def __init__(self, url: str, smtp: str) -> None:
        super().__init__(url)
        self.host, _, port = smtp.rpartition(":")
        self.port = int(port)

    async def fail(self, mode: str, times: int | None = 1, recipient: str | None = None) -> None:
        """Without a recipient, the fault affects all of them."""
        await self._call("POST", "/sandbox/faults", json={"mode": mode, "times": times, "to": recipient})

    async def messages_to(self, address: str) -> list[EmailMessage]:
        """Newest first."""
        messages = (await self._call("GET", "/api/v1/search", params={"query": f"to:{address}"})).json()["messages"]
        raw = [(await self._call("GET", f"/api/v1/message/{each['ID']}/raw")).content for each in messages]
        return [message_from_bytes(each, policy=policy.default) for each in raw]


@contextmanager
def running_mailbox(data: Path) -> Iterator[Mailbox]:
    with running_sandbox("mailbox", "--smtp-port=0", "--http-port=0", f"--data={data}") as addresses:
        yield Mailbox(f"http://{addresses['http']}", addresses["smtp"])
