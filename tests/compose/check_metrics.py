"""Check that Prometheus of a running Compose stack has data for the alert rules and the dashboards.

python tests/compose/check_metrics.py            with PROMETHEUS_PORT, default 9090
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from generators.monitored import dashboard_expressions, recording_rules, rule_expressions
from support.metrics.causes import CAUSES

WAIT_SECONDS = 75.0  # the data of the smoke test must be scraped first, and recorded every 30 seconds
API = f"http://127.0.0.1:{os.environ.get('PROMETHEUS_PORT') or 9090}/api/v1"
# What customers move; the other metrics have no series before their cause happens. The smoke test opens no page of the
# console, and nginx answers it in place of the origin.
[CUSTOMERS] = [cause for cause in CAUSES if cause.begin.__name__ == "customers"]
METRICS = {name for name in CUSTOMERS.moves if not name.startswith(("console_", "origin_"))}


def main() -> None:
    metrics = METRICS | {rule["record"] for rule in recording_rules()}
    deadline = time.monotonic() + WAIT_SECONDS
    while missing := sorted(metrics - set(ask("label/__name__/values"))):
        if time.monotonic() > deadline:
            sys.exit("not on the running stack:\n" + "\n".join(missing))
        time.sleep(1)
    firing = [each["labels"]["alertname"] for each in ask("alerts")["alerts"] if each["state"] == "firing"]
    expressions = [*dashboard_expressions(), *rule_expressions()]
    for expression in expressions:
        ask("query", query=expression)
    if firing:
        sys.exit(f"firing: {', '.join(firing)}")
    sys.stdout.write(f"{len(metrics)} metrics exist, Prometheus answers {len(expressions)} queries, no alert fires\n")


def ask(what: str, **parameters: str) -> Any:
    """Raises `HTTPStatusError` for a query that Prometheus rejects."""
    return httpx.get(f"{API}/{what}", params=parameters).raise_for_status().json()["data"]


if __name__ == "__main__":
    main()
