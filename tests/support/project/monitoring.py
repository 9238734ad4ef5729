"""The metrics that alert rules and dashboard use."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "overview.json"

# Parts of an expression that contain words which are not names of metrics.
_NO_METRIC = re.compile(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)')
_OPERATORS = {"and", "or", "unless", "offset", "bool"}
_PROMETHEUS_METRICS = {"up", "ALERTS"}


def metrics_in_use() -> set[str]:
    return {name for each in (*rule_expressions(), *dashboard_expressions()) for name in metric_names(each)}


def metric_names(expression: str) -> set[str]:
    """The names in a PromQL expression, except metrics of Prometheus itself."""
    words = re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", _NO_METRIC.sub(" ", expression))
    return set(words) - _OPERATORS - _PROMETHEUS_METRICS


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def rule_expressions() -> list[str]:
    return [rule["expr"] for rule in rules()]


def dashboard_expressions() -> Iterator[str]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
