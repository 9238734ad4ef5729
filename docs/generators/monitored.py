"""What alert rules and dashboards are made of: the rules, the expressions, and the metrics in them."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
_PROMETHEUS = DEPLOY / "prometheus"
RECORDING_RULES = _PROMETHEUS / "slo_rules.yml"
ALERT_FILES = (_PROMETHEUS / "alerts.yml", _PROMETHEUS / "slo_alerts.yml")
DASHBOARDS = tuple(sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")))

# Parts of an expression that contain words which are not names of metrics.
_NO_METRIC = re.compile(r'"[^"]*"|\{(?:"[^"]*"|[^}])*\}|\[[^]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)')
_OPERATORS = {"and", "or", "unless", "offset", "bool"}
_PROMETHEUS_METRICS = {"up", "ALERTS"}
_OBJECTIVE = re.compile(r'slo="(\w+)"')


def metrics_in_use() -> set[str]:
    """Without the recorded ones, which are made from others."""
    expressions = (*rule_expressions(), *recording_expressions(), *dashboard_expressions())
    return {name for each in expressions for name in metric_names(each) if ":" not in name}


def metric_names(expression: str) -> set[str]:
    """The names in a PromQL expression, except metrics of Prometheus itself."""
    words = re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", _NO_METRIC.sub(" ", expression))
    return set(words) - _OPERATORS - _PROMETHEUS_METRICS


def rules() -> list[dict[str, Any]]:
    """The alerts of all files."""
    return [rule for file in ALERT_FILES for rule in _rules_of(file)]


def recording_rules() -> list[dict[str, Any]]:
    return _rules_of(RECORDING_RULES)


def rule_expressions() -> list[str]:
    return [rule["expr"] for rule in rules()]


def recording_expressions() -> list[str]:
    return [rule["expr"] for rule in recording_rules()]


def panels(dashboard: Path) -> list[dict[str, Any]]:
    return [panel for panel in json.loads(dashboard.read_text())["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> Iterator[str]:
    for dashboard in DASHBOARDS:
        yield from _expressions_of(dashboard)


def users(metric: str) -> Iterator[str]:
    """Names of the dashboards and alerts that use a metric; of an alert on a service level, by what it records."""
    series = {metric, *(f"{metric}{suffix}" for suffix in ("_bucket", "_count", "_sum"))}
    for dashboard in DASHBOARDS:
        if _names_of(_expressions_of(dashboard)) & series:
            yield dashboard.stem
    recorded = [rule["labels"]["slo"] for rule in recording_rules() if metric_names(rule["expr"]) & series]
    for rule in rules():
        objectives = set(_OBJECTIVE.findall(rule["expr"]))
        if metric_names(rule["expr"]) & series or objectives & set(recorded):
            yield rule["alert"]


def _rules_of(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def _expressions_of(dashboard: Path) -> list[str]:
    return [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]


def _names_of(expressions: Iterable[str]) -> set[str]:
    return {name for each in expressions for name in metric_names(each)}
