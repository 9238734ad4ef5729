"""Every metric that a rule or the dashboard names is on a running stack: asks its Prometheus which there are.

python tests/compose/check_metrics.py            with PROMETHEUS_PORT, 9090 if it is not set
"""

import os
import sys
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.monitoring import metrics_spoken_of

PATIENCE_SECONDS = 30.0  # a metric that the smoke test made has to be scraped first


def main() -> None:
    address = f"http://127.0.0.1:{os.environ.get('PROMETHEUS_PORT') or 9090}/api/v1/label/__name__/values"
    spoken_of = metrics_spoken_of()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing := spoken_of - set(httpx.get(address).raise_for_status().json()["data"]):
        if time.monotonic() > deadline:
            sys.exit(f"not on the running stack: {', '.join(sorted(missing))}")
        time.sleep(1)
    sys.stdout.write(f"all {len(spoken_of)} metrics of the rules and the dashboard are on the running stack\n")


if __name__ == "__main__":
    main()
