"""The programs of the sandbox as real processes on free ports."""

import re
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest
import stripe

StartedProgram = tuple[subprocess.Popen[str], dict[str, str]]
StartProgram = Callable[..., StartedProgram]


@pytest.fixture(scope="module")
def start_program() -> Iterator[StartProgram]:
    """A function that starts `python -m sandbox …` and returns the process and its addresses by protocol."""
    processes = []

    def start(program: str, data: Path, **ports: int) -> StartedProgram:
        options = [f"--{name.replace('_', '-')}={port}" for name, port in ports.items()]
        command = [sys.executable, "-m", "sandbox", program, "--data", str(data), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        ready = process.stdout.readline()
        addresses = dict(re.findall(r"(http|smtp)=(\S+)", ready))
        assert addresses, f"{program} did not start: {ready}"
        return process, addresses

    yield start
    for process in processes:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=5)


@pytest.fixture
def order_payment() -> str:
    """A payment reference that no other test uses."""
    return f"order-{uuid.uuid4()}"


@pytest.fixture(scope="module")
def payments_url(start_program: StartProgram, tmp_path_factory: pytest.TempPathFactory) -> str:
    _, addresses = start_program("payments", tmp_path_factory.mktemp("payments"), port=0)
    return f"http://{addresses['http']}"


@pytest.fixture
async def payments(payments_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the gateway; faults are cleared after the test."""
    async with httpx.AsyncClient(base_url=payments_url, headers={"Authorization": "Bearer sk_test_1"}) as client:
        yield client
        await client.delete("/sandbox/faults")


@pytest.fixture(scope="module")
async def stripe_client(payments_url: str) -> AsyncIterator[stripe.StripeClient]:
    http_client = stripe.HTTPXClient(timeout=1)
    yield stripe.StripeClient(
        "sk_test_1", base_addresses={"api": payments_url}, http_client=http_client, max_network_retries=0
    )
    await http_client.close_async()  # type: ignore[no-untyped-call] # untyped in the SDK


@pytest.fixture(scope="module")
def mailbox_addresses(start_program: StartProgram, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return start_program("mailbox", tmp_path_factory.mktemp("mailbox"), smtp_port=0, http_port=0)[1]


@pytest.fixture
async def mailbox(mailbox_addresses: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the mailbox; faults and messages are deleted after the test."""
    async with httpx.AsyncClient(base_url=f"http://{mailbox_addresses['http']}") as client:
        yield client
        await client.delete("/sandbox/faults")
        await client.delete("/api/v1/messages")


@pytest.fixture
async def smtp(mailbox_addresses: dict[str, str]) -> AsyncIterator[aiosmtplib.SMTP]:
    host, _, port = mailbox_addresses["smtp"].rpartition(":")
    client = aiosmtplib.SMTP(hostname=host, port=int(port), timeout=5)
    async with client:
        yield client


@pytest.fixture
def invoice_mail() -> EmailMessage:
    """A mail like those of the invoicing service: text, HTML and the PDF."""
    mail = EmailMessage()
    mail["From"] = "ArtiCurated <billing@articurated.example>"
    mail["To"] = "Ada Łukasiewicz <ada@example.org>"
    mail["Subject"] = "Your invoice INV-2026-000001 \N{EN DASH} thank you"
    mail["Message-ID"] = "<invoice-000001@articurated.example>"
    mail["Date"] = "Sun, 22 Nov 2026 10:00:00 +0100"
    mail.set_content("Dear Ada Łukasiewicz, the invoice for your blue vase is attached.\n")
    mail.add_alternative("<p>Dear Ada Łukasiewicz, the <b>invoice</b> is attached.</p>", subtype="html")
    mail.add_attachment(b"%PDF-1.7 invoice", maintype="application", subtype="pdf", filename="INV-2026-000001.pdf")
    return mail
