"""Alertmanager: Prometheus sends to it, and each alert is routed to the operators' address."""

import shutil
import subprocess
from typing import Any

import pytest
import yaml
from support.project.monitoring import DEPLOY, rules

AMTOOL = shutil.which("amtool")
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
@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_critical_alerts_go_out_at_once_and_the_others_in_groups(rule: dict[str, Any]) -> None:
    severity = rule["labels"]["severity"]
    labels = [f"alertname={rule['alert']}", f"severity={severity}", "service=refunds"]
    found = run("config", "routes", "test", f"--config.file={FILE}", *labels)
    assert found.split() == ["operators-at-once" if severity == "critical" else "operators"]


@needs_amtool
def test_amtool_accepts_the_configuration() -> None:
    assert "SUCCESS" in run("check-config", str(FILE))


def run(*arguments: str) -> str:
    process = subprocess.run([str(AMTOOL), *arguments], capture_output=True, text=True, check=True)
    return process.stdout
