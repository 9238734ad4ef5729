"""The configuration of Prometheus and Grafana."""

import importlib
import pkgutil
import re
import shutil
import subprocess

import common
import invoicing.worker
import pytest
import refunds.checks
import refunds.worker
import returns.worker
import yaml
from local_stack.services import SERVICES
from prometheus_client import REGISTRY
from support.project.monitoring import DEPLOY, metric_names, metrics_in_use, rules

PROMTOOL = shutil.which("promtool")
OPERATIONS = DEPLOY.parent / "docs" / "operations.md"
# Suffixes of the names that one metric is exposed as.
SUFFIXES = ("", "_total", "_bucket", "_count", "_sum")


def test_metric_names_are_extracted_from_any_expression() -> None:
    assert metric_names('sum by (service) (rate(a_total{kind="b_total"}[5m])) > 0.5 or c offset 15m') == {
        "a_total",
        "c",
    }


def test_every_metric_of_the_rules_and_the_dashboard_exists_in_the_code() -> None:
    for package in (common, invoicing.worker, refunds.worker, returns.worker):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in module.name:
                importlib.import_module(module.name)

    exposed = {metric.name + suffix for metric in REGISTRY.collect() for suffix in SUFFIXES}

    assert metrics_in_use() - exposed == set()


def test_every_alert_has_its_paragraph_in_the_runbook() -> None:
    anchors = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", OPERATIONS.read_text(), flags=re.MULTILINE)}

    for rule in rules():
        page, anchor = rule["annotations"]["runbook"].split("#")
        assert (DEPLOY.parent / page) == OPERATIONS
        assert anchor == rule["alert"].lower()
        assert anchor in anchors


def test_every_role_is_scraped_and_alerts_when_it_is_missing() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (targets,) = (
        job["dns_sd_configs"][0]["names"] for job in config["scrape_configs"] if job["job_name"] == "articurated"
    )
    (expression,) = (rule["expr"] for rule in rules() if rule["alert"] == "RoleMissing")

    roles = [(service, role) for service, definition in SERVICES.items() for role in definition.roles]

    assert sorted(targets) == sorted(f"{service}-{role}" for service, role in roles)
    assert sorted(re.findall(r'service="(\w+)", role="(\w+)"', expression)) == sorted(roles)


def test_every_alert_is_tested_firing_and_silent() -> None:
    tests = yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    alerts = {rule["alert"] for rule in rules()}

    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == alerts


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize("check", [["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]])
def test_promtool_accepts(check: list[str]) -> None:
    command = [str(PROMTOOL), *check]
    process = subprocess.run(command, cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False)

    assert process.returncode == 0, process.stdout + process.stderr
