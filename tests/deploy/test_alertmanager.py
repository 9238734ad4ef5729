"""Alertmanager: Prometheus sends to it, and each alert reaches the operators' address."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from generators.monitored import DEPLOY, rules
from support.mail.mailbox import Mailbox, running_mailbox
from support.waiting import eventually

AMTOOL = shutil.which("amtool")
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
FILE = DEPLOY / "alertmanager" / "alertmanager.yml"
CONFIG: dict[str, Any] = yaml.safe_load(FILE.read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())["services"]
needs_amtool = pytest.mark.skipif(AMTOOL is None, reason="amtool is not installed")


def test_prometheus_sends_to_the_alertmanager_of_the_compose_file() -> None:
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    [alertmanager] = prometheus["alerting"]["alertmanagers"]
    [targets] = alertmanager["static_configs"]
    assert [target.partition(":")[0] for target in targets["targets"]] == ["alertmanager"]
    assert "./deploy/alertmanager:/etc/alertmanager:ro" in COMPOSE["alertmanager"]["volumes"]


def test_it_sends_e_mails_to_the_mailbox_of_the_compose_file() -> None:
    host, port = CONFIG["global"]["smtp_smarthost"].split(":")
    assert host in COMPOSE
    assert port == "1025"
    for receiver in CONFIG["receivers"]:
        [mail] = receiver["email_configs"]
        assert (mail["to"], mail["send_resolved"]) == ("ops@articurated.example", True)


@needs_amtool
@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule['alert']}-{rule['labels'].get('burn')}")
def test_critical_alerts_go_out_at_once_and_the_others_in_groups(rule: dict[str, Any]) -> None:
    severity = rule["labels"]["severity"]
    labels = [f"alertname={rule['alert']}", f"severity={severity}", "service=refunds"]
    found = run("config", "routes", "test", f"--config.file={FILE}", *labels)
    assert found.split() == ["operators-at-once" if severity == "critical" else "operators"]


@needs_amtool
def test_amtool_accepts_the_configuration() -> None:
    assert "SUCCESS" in run("check-config", str(FILE))


@contextmanager
def running_alertmanager(folder: Path, mailbox: Mailbox) -> Iterator[str]:
    """With the committed configuration, except for the mailbox's address."""
    config = folder / "alertmanager.yml"
    config.write_text(FILE.read_text().replace("mailpit:1025", f"{mailbox.host}:{mailbox.port}"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = [f"--config.file={config}", f"--storage.path={folder}", "--cluster.listen-address="]
    process = subprocess.Popen([str(ALERTMANAGER), *options, f"--web.listen-address={address}"])
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.skipif(ALERTMANAGER is None, reason="Alertmanager is not installed")
async def test_a_critical_alert_arrives_in_the_mailbox(tmp_path: Path) -> None:
    labels = {"alertname": "JobDead", "severity": "critical", "service": "refunds"}
    with running_mailbox(tmp_path / "mailbox") as mailbox, running_alertmanager(tmp_path, mailbox) as url:
        async with httpx.AsyncClient() as client:

            async def accepted() -> bool:
                try:
                    return (await client.post(f"{url}/api/v2/alerts", json=[{"labels": labels}])).is_success
                except httpx.TransportError:
                    return False

            await eventually(accepted)
        [message, *_] = await eventually(lambda: mailbox.messages_to("ops@articurated.example"))
    assert message["subject"].startswith("[FIRING:1] JobDead refunds")


def run(*arguments: str) -> str:
    process = subprocess.run([str(AMTOOL), *arguments], capture_output=True, text=True, check=True)
    return process.stdout
