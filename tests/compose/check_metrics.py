"""Check that Prometheus of a running Compose stack has data for the alert rules and the dashboard.

python tests/compose/check_metrics.py            with PROMETHEUS_PORT, default 9090
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from generators.monitored import dashboard_expressions, metrics_in_use, rule_expressions

WAIT_SECONDS = 30.0  # the data of the smoke test must be scraped first, twice for a rate
API = f"http://127.0.0.1:{os.environ.get('PROMETHEUS_PORT') or 9090}/api/v1"
# On a healthy stack these have no data.
EMPTY_WHEN_HEALTHY = (
    'count(up{job="articurated"} == 0)',
    'count(ALERTS{alertstate="firing"})',
)


def main() -> None:
    metrics, panels = metrics_in_use(), list(dashboard_expressions())
    required_panels = [each for each in panels if not any(expression in each for expression in EMPTY_WHEN_HEALTHY)]
    deadline = time.monotonic() + WAIT_SECONDS
    while missing := missing_metrics_and_panels(metrics, required_panels):
        if time.monotonic() > deadline:
            sys.exit("not on the running stack:\n" + "\n".join(missing))
        time.sleep(1)
    firing = [each["labels"]["alertname"] for each in ask("alerts")["alerts"] if each["state"] == "firing"]
    for expression in (*panels, *rule_expressions()):
        ask("query", query=expression)
    if firing:
        sys.exit(f"firing: {', '.join(firing)}")
    sys.stdout.write(
        f"{len(metrics)} metrics exist, {len(required_panels)} of {len(panels)} queries of the dashboard have data, "
        f"no alert fires\n"
    )


def missing_metrics_and_panels(metrics: set[str], panels: list[str]) -> list[str]:
    existing = set(ask("label/__name__/values"))
    return sorted(metrics - existing) + [each for each in panels if not ask("query", query=each)["result"]]


def ask(what: str, **parameters: str) -> Any:
    """Raises `HTTPStatusError` for a query that Prometheus rejects."""
    return httpx.get(f"{API}/{what}", params=parameters).raise_for_status().json()["data"]


if __name__ == "__main__":
    main()
