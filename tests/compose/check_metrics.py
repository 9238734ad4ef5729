"""What the alert rules and the dashboard ask is answered on a running Compose stack, by its own Prometheus.

python tests/compose/check_metrics.py            with PROMETHEUS_PORT, 9090 if it is not set
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.project.monitoring import dashboard_expressions, metrics_in_use, rule_expressions

PATIENCE_SECONDS = 30.0  # what the smoke test made has to be scraped first, twice for a rate
API = f"http://127.0.0.1:{os.environ.get('PROMETHEUS_PORT') or 9090}/api/v1"
# On a healthy stack these have nothing to show.
ONLY_IN_TROUBLE = (
    'count(up{job="articurated"} == 0)',
    'count(ALERTS{alertstate="firing"})',
)


def main() -> None:
    spoken_of, panels = metrics_in_use(), list(dashboard_expressions())
    shown = [each for each in panels if not any(trouble in each for trouble in ONLY_IN_TROUBLE)]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing := unanswered(spoken_of, shown):
        if time.monotonic() > deadline:
            sys.exit("not on the running stack:\n" + "\n".join(missing))
        time.sleep(1)
    firing = [each["labels"]["alertname"] for each in ask("alerts")["alerts"] if each["state"] == "firing"]
    for expression in (*panels, *rule_expressions()):
        ask("query", query=expression)
    if firing:
        sys.exit(f"firing: {', '.join(firing)}")
    sys.stdout.write(
        f"{len(spoken_of)} metrics are there, {len(shown)} of {len(panels)} queries of the dashboard show something, "
        f"no alert fires\n"
    )


def unanswered(metrics: set[str], panels: list[str]) -> list[str]:
    there = set(ask("label/__name__/values"))
    return sorted(metrics - there) + [each for each in panels if not ask("query", query=each)["result"]]


def ask(what: str, **parameters: str) -> Any:
    """Raises for a query that Prometheus does not understand."""
    return httpx.get(f"{API}/{what}", params=parameters).raise_for_status().json()["data"]


if __name__ == "__main__":
    main()
