"""Acknowledged data survives kill -9, and SIGTERM ends both programs promptly."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest
from support.waiting import eventually

StartProgram = Callable[..., tuple[subprocess.Popen[str], dict[str, str]]]

REFUND = {"payment_intent": "order-1", "amount": "4550", "metadata[reference]": "return-1"}
HEADERS = {"Authorization": "Bearer sk_test_1", "Idempotency-Key": "refund-1"}
SHUTDOWN_SECONDS = 2


def gateway_at(addresses: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{addresses['http']}", headers=HEADERS, timeout=10)


async def stop_within_limit(process: subprocess.Popen[str]) -> None:
    """Raises TimeoutExpired if the program does not end within the limit after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, SHUTDOWN_SECONDS) == 0


async def test_refunds_responses_and_faults_survive_kill_9(start_program: StartProgram, tmp_path: Path) -> None:
    process, addresses = start_program("payments", tmp_path, port=0)
    async with gateway_at(addresses) as gateway:
        await gateway.post("/sandbox/faults", json={"mode": "fail", "times": 2, "payment": "order-2"})
        await gateway.post("/v1/refunds", data=REFUND | {"payment_intent": "order-2"})
        refund = (await gateway.post("/v1/refunds", data=REFUND)).json()
    process.kill()
    process.wait()

    _, addresses = start_program("payments", tmp_path, port=0)
    async with gateway_at(addresses) as gateway:
        again = await gateway.post("/v1/refunds", data=REFUND)
        faults = (await gateway.get("/sandbox/faults")).json()["faults"]
        ledger = (await gateway.get("/sandbox/ledger")).json()

    assert again.json() == refund
    assert again.headers["Idempotent-Replayed"] == "true"
    assert [fault["times"] for fault in faults] == [1]
    assert [entry["id"] for entry in ledger["refunds"]] == [refund["id"]]
    assert [call["outcome"] for call in ledger["calls"]] == ["failed", "applied", "replayed"]


async def test_a_refund_without_a_response_survives_kill_9(start_program: StartProgram, tmp_path: Path) -> None:
    process, addresses = start_program("payments", tmp_path, port=0)
    async with gateway_at(addresses) as gateway:
        await gateway.post("/sandbox/faults", json={"mode": "timeout_after_apply", "times": 1})
        with pytest.raises(httpx.ReadTimeout):
            await gateway.post("/v1/refunds", data=REFUND, timeout=0.5)
    process.kill()
    process.wait()

    _, addresses = start_program("payments", tmp_path, port=0)
    async with gateway_at(addresses) as gateway:
        again = await gateway.post("/v1/refunds", data=REFUND)
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("mode", ["timeout_before_apply", "timeout_after_apply"])
async def test_sigterm_ends_hanging_requests_without_a_response(
    start_program: StartProgram, tmp_path: Path, mode: str
) -> None:
    process, addresses = start_program("payments", tmp_path, port=0)
    async with gateway_at(addresses) as gateway:
        await gateway.post("/sandbox/faults", json={"mode": mode})
        hanging = asyncio.create_task(gateway.post("/v1/refunds", data=REFUND))

        async def has_arrived() -> bool:
            return bool((await gateway.get("/sandbox/ledger")).json()["calls"])

        await eventually(has_arrived)

        await stop_within_limit(process)

        with pytest.raises(httpx.RemoteProtocolError):
            await hanging


async def test_sigterm_ends_a_slow_refund_before_it_is_applied(start_program: StartProgram, tmp_path: Path) -> None:
    process, addresses = start_program("payments", tmp_path, port=0)
    async with gateway_at(addresses) as gateway:
        await gateway.post("/sandbox/faults", json={"mode": "slow", "delay_seconds": 60, "times": 1})
        with pytest.raises(httpx.ReadTimeout):
            await gateway.post("/v1/refunds", data=REFUND, timeout=0.5)
    await stop_within_limit(process)

    _, addresses = start_program("payments", tmp_path, port=0)
    async with gateway_at(addresses) as gateway:
        assert (await gateway.get("/sandbox/ledger")).json()["refunds"] == []


async def test_messages_survive_kill_9(start_program: StartProgram, tmp_path: Path, invoice_mail: EmailMessage) -> None:
    process, addresses = start_program("mailbox", tmp_path, smtp_port=0, http_port=0)
    host, _, port = addresses["smtp"].rpartition(":")
    await aiosmtplib.send(invoice_mail, hostname=host, port=int(port))
    async with httpx.AsyncClient(base_url=f"http://{addresses['http']}") as mailbox:
        before = (await mailbox.get("/api/v1/messages")).json()
    process.kill()
    process.wait()

    _, addresses = start_program("mailbox", tmp_path, smtp_port=0, http_port=0)
    async with httpx.AsyncClient(base_url=f"http://{addresses['http']}") as mailbox:
        after = (await mailbox.get("/api/v1/messages")).json()

    assert before["total"] == 1
    assert after == before


async def test_sigterm_does_not_wait_for_an_open_smtp_connection(start_program: StartProgram, tmp_path: Path) -> None:
    process, addresses = start_program("mailbox", tmp_path, smtp_port=0, http_port=0)
    host, _, port = addresses["smtp"].rpartition(":")
    client = aiosmtplib.SMTP(hostname=host, port=int(port))
    await client.connect()
    start = time.monotonic()

    await stop_within_limit(process)

    assert time.monotonic() - start < SHUTDOWN_SECONDS
    client.close()


def test_a_port_in_use_is_an_error(start_program: StartProgram, tmp_path: Path) -> None:
    _, addresses = start_program("payments", tmp_path / "first", port=0)

    with pytest.raises(AssertionError, match="did not start"):
        start_program("payments", tmp_path / "second", port=int(addresses["http"].rpartition(":")[2]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port=0", "--data=/dev/null/x"], "--data: Not a directory"),
        (["--port=65536", "--data=x"], "--port: '65536' is not a port"),
        (["--port=0", "--data=/tmp", "--webhook-url=http://x"], "PAYMENT_WEBHOOK_SECRET is needed"),
    ],
)
def test_an_invalid_option_is_named(options: list[str], message: str) -> None:
    command = [sys.executable, "-m", "sandbox", "payments", *options]
    process = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert process.returncode != 0
    assert message in process.stderr
    assert "Traceback" not in process.stderr
