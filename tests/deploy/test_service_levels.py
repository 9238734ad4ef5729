"""The burn-rate alerts of the service levels: each fires when its budget burns too fast, and not before."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from generators.monitored import DEPLOY
from generators.slo import BURNS, OBJECTIVES, READS, Burn, Objective

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
EVENTS_PER_STEP = 1000
SECONDS_BETWEEN_SAMPLES = 120
# Seconds between two evaluations, and when the alert is looked at: the long window is full then.
TIMES = {"fast": (30, 70), "medium": (120, 370), "slow": (600, 4400)}
LABELS = {"service": "orders", "kind": "refund", "method": "POST", "route": "/api/v1/orders", "status": "200"}


def series(objective: Objective, share_late: float, steps: int, **other: str) -> list[dict[str, str]]:
    """A histogram of which in each step a share of the events misses the limit."""
    labels = LABELS | ({"method": "GET"} if objective is READS else {}) | other
    written = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    late = round(EVENTS_PER_STEP * share_late)
    return [
        {"series": f"{objective.histogram}_count{{{written}}}", "values": f"0+{EVENTS_PER_STEP}x{steps}"},
        {
            "series": f'{objective.histogram}_bucket{{{written}, le="{objective.limit}"}}',
            "values": f"0+{EVENTS_PER_STEP - late}x{steps}",
        },
    ]


def expected(objective: Objective, burn: Burn, share: float) -> dict[str, Any]:
    who = " ".join(LABELS[label] for label in objective.by)
    labels = {label: LABELS[label] for label in objective.by} | {"slo": objective.name}
    percent = f"{share * 100:.4g}%"
    return {
        "exp_labels": {"severity": burn.severity, "burn": burn.name} | labels,
        "exp_annotations": {
            "summary": f"{who}: {percent} missed the objective “{objective.title}” in the last {burn.long}",
            "runbook_url": f"docs/operations.md#{objective.alert.lower()}",
        },
    }


def case(burn: Burn, margin: float) -> dict[str, Any]:
    """With a little more or less than this burn's share of late events, all burns that allow fewer fire."""
    _, minutes = TIMES[burn.name]
    input_series, checks = [], []
    for objective in OBJECTIVES:
        share = round(burn.factor * objective.budget * margin, 3)
        firing = [expected(objective, each, share) for each in BURNS if share > each.factor * objective.budget]
        input_series += series(objective, share, minutes * 60 // SECONDS_BETWEEN_SAMPLES + 1)
        checks.append({"alertname": objective.alert, "eval_time": f"{minutes}m", "exp_alerts": firing})
    interval = f"{SECONDS_BETWEEN_SAMPLES}s"
    name = f"{burn.name} {margin}"
    return {"name": name, "interval": interval, "input_series": input_series, "alert_rule_test": checks}


def run(folder: Path, seconds: int, *tests: dict[str, Any]) -> None:
    files = [str(DEPLOY / "prometheus" / name) for name in ("slo_rules.yml", "slo_alerts.yml")]
    document = {
        "rule_files": files,
        "evaluation_interval": f"{seconds}s",
        # Otherwise in any order: an alert would sometimes see nothing that is younger than five minutes.
        "group_eval_order": ["slo", "service levels"],
        "tests": list(tests),
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True))
    process = subprocess.run([str(PROMTOOL), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr


@needs_promtool
@pytest.mark.parametrize("burn", BURNS, ids=lambda burn: burn.name)
def test_each_alert_fires_above_its_burn_rate_and_not_below(burn: Burn, tmp_path: Path) -> None:
    run(tmp_path, TIMES[burn.name][0], case(burn, 1.25), case(burn, 0.75))


@needs_promtool
def test_a_page_ends_minutes_after_its_cause(tmp_path: Path) -> None:
    input_series, checks = [], []
    for objective in OBJECTIVES:
        late, in_time = series(objective, 1, 140)
        in_time["values"] = f"0x120 {EVENTS_PER_STEP}+{EVENTS_PER_STEP}x19"
        input_series += [late, in_time]
        # At the end, the short windows of the other two burns still have the cause in them.
        for at, number in (("60m", len(BURNS)), ("68m", len(BURNS) - 1)):
            firing = f'count(ALERTS{{alertname="{objective.alert}", alertstate="firing"}})'
            samples = [{"labels": "{}", "value": number}]
            checks.append({"expr": firing, "eval_time": at, "exp_samples": samples})
    run(tmp_path, 30, {"name": "ends", "interval": "30s", "input_series": input_series, "promql_expr_test": checks})


@needs_promtool
def test_two_late_events_of_a_quiet_day_are_no_page(tmp_path: Path) -> None:
    input_series, checks = [], []
    for objective in OBJECTIVES:
        late, in_time = series(objective, 1, 140)
        late["values"], in_time["values"] = "0x20 1x20 2x99", "0x140"
        input_series += [late, in_time]
        checks.append({"alertname": objective.alert, "eval_time": "55m", "exp_alerts": []})
    run(tmp_path, 30, {"name": "quiet", "interval": "30s", "input_series": input_series, "alert_rule_test": checks})


@needs_promtool
def test_probes_and_exports_are_not_the_requests_of_customers(tmp_path: Path) -> None:
    routes = ("/livez", "/api/v1/metrics", "/api/v1/orders/export", "/api/v1/ops/jobs", "(no route)")
    slow = [each for route in routes for each in series(READS, 1, 140, route=route)]
    silent = {"alertname": READS.alert, "eval_time": "65m", "exp_alerts": []}
    run(tmp_path, 30, {"name": "probes", "interval": "30s", "input_series": slow, "alert_rule_test": [silent]})
