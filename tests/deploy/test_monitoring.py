"""The configuration of Prometheus and Grafana."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from generators.dashboards.__main__ import files
from generators.metrics import registered
from generators.monitored import (
    DASHBOARDS,
    DEPLOY,
    metric_names,
    metrics_in_use,
    panels,
    rules,
    users,
)
from generators.slo import OBJECTIVES
from local_stack.services import SERVICES
from prometheus_client import REGISTRY

PROMTOOL = shutil.which("promtool")
OPERATIONS = DEPLOY.parent / "docs" / "operations.md"
# Suffixes of the names that one metric is exposed as.
SUFFIXES = ("_bucket", "_count", "_sum")
# The client library makes these.
OF_PYTHON = {"process_cpu_seconds_total", "process_resident_memory_bytes"}


def test_metric_names_are_extracted_from_any_expression() -> None:
    assert metric_names('sum by (service) (rate(a_total{kind="b_total"}[5m])) > 0.5 or c offset 15m') == {
        "a_total",
        "c",
    }


@pytest.mark.parametrize(("file", "text"), list(files()), ids=lambda each: getattr(each, "name", ""))
def test_a_file_equals_what_the_code_generates(file: Path, text: str) -> None:
    """If this fails: run `make dashboards` and review the difference."""
    assert file.read_text() == text


def test_there_is_no_dashboard_beside_the_generated_ones() -> None:
    assert {file.name for file in DASHBOARDS} == {file.name for file, _ in files() if file.suffix == ".json"}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda file: file.stem)
def test_every_panel_has_a_title_a_unit_and_a_description_and_overlaps_no_other(dashboard: Path) -> None:
    places: set[tuple[int, int]] = set()
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not places & cells, panel["title"]
        places |= cells


def test_every_metric_of_the_rules_and_the_dashboards_exists_in_the_code() -> None:
    exposed = {f"{each.name}{suffix}" for each in registered() for suffix in ("", *SUFFIXES)}
    assert metrics_in_use() - exposed == OF_PYTHON


def test_every_metric_is_on_a_dashboard_or_in_a_rule() -> None:
    assert [each.name for each in registered() if not list(users(each.name))] == []


def test_the_limit_of_every_objective_is_a_bucket_of_its_histogram() -> None:
    for objective in OBJECTIVES:
        buckets = REGISTRY._names_to_collectors[objective.histogram]._upper_bounds  # type: ignore[attr-defined]  # no public way
        assert float(objective.limit) in buckets, objective.name


def test_every_alert_has_its_paragraph_in_the_runbook() -> None:
    anchors = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", OPERATIONS.read_text(), flags=re.MULTILINE)}

    for rule in rules():
        page, anchor = rule["annotations"]["runbook_url"].split("#")
        assert (DEPLOY.parent / page) == OPERATIONS
        assert anchor == rule["alert"].lower()
        assert anchor in anchors


@pytest.mark.parametrize("alert", sorted({rule["alert"] for rule in rules()}))
def test_a_section_of_the_runbook_says_what_to_look_at_and_what_to_do(alert: str) -> None:
    section = OPERATIONS.read_text().partition(f"\n### {alert}\n")[2].partition("\n### ")[0]
    assert re.findall(r"^- \*\*(.+?)\.\*\* \S", section, re.MULTILINE) == [
        "Meaning",
        "First look",
        "Causes",
        "Remedy",
        "Over",
    ]


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
    # The others are in test_service_levels.py, each burn rate of them.
    alerts = {rule["alert"] for rule in rules()} - {objective.alert for objective in OBJECTIVES}

    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == alerts


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize("check", [["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]])
def test_promtool_accepts(check: list[str]) -> None:
    command = [str(PROMTOOL), *check]
    process = subprocess.run(command, cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False)

    assert process.returncode == 0, process.stdout + process.stderr
