"""How long the explanation of an order takes over all four services, with many stored orders, jobs and events.

EXPLAIN_ORDERS sets another number of orders than 1,000,000. Each service has as many audit rows, events and finished
jobs.
"""

import contextlib
import os
import statistics
from collections.abc import Iterator

from benchmarks import subjects
from benchmarks.measuring import paced
from benchmarks.orders_database import OrdersDatabase
from benchmarks.paced_load import Kind, Plan
from benchmarks.results import Result
from local_stack.services import SERVICES

ROUNDS = 5
SECONDS = 3.0
RATE = 20.0
CONNECTIONS = 4
ORDERS = int(os.environ.get("EXPLAIN_ORDERS", "1000000"))
MOST_MILLISECONDS = 100.0
JOBS = """
WITH done AS (
INSERT INTO jobs (id, kind, business_key, payload, traceparent, state, attempts, finished_at)
SELECT gen_random_uuid(), 'history', 'history-' || n, '{}',
       '00-' || md5(n::text) || '-' || left(md5(n::text), 16) || '-01', 'done', 1, now()
FROM generate_series(1, :jobs) AS n RETURNING id)
INSERT INTO job_attempts (job_id, number, worker, finished_at, outcome)
SELECT id, 1, 'a worker', now(), 'succeeded' FROM done;
"""


def measure() -> Iterator[Result]:
    with subjects.stack() as stack, contextlib.ExitStack() as running:
        stored = OrdersDatabase(stack.postgres).fill(ORDERS, searchable=True)
        for service in SERVICES:
            OrdersDatabase(stack.postgres, service).fill_history(ORDERS)
            stack.postgres.execute(f"\\set jobs {ORDERS}", JOBS, "VACUUM ANALYZE jobs, job_attempts;", database=service)
            running.enter_context(subjects.running(stack, service, "api"))
        port = subjects.program(stack, "orders", "api").port
        yield from _latencies(port, stored, stack.credentials.api_keys["ops"])


def _latencies(port: int, stored: tuple[int, int], key: str) -> Iterator[Result]:
    """Of requests at a steady rate, each for another order; the first round warms up."""
    template = f"GET /api/v1/orders/{{id}}/explain HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n\r\n"
    kind = Kind(name="explain", template=template, share=1, first=stored[0], last=stored[1])
    plan = Plan(port=port, connections=CONNECTIONS, seconds=SECONDS, rate=RATE, kinds=[kind])
    rounds = [paced(plan)["seconds"]["explain"] for _ in range(ROUNDS + 1)][1:]
    for name, of in (("p50", statistics.median), ("p95", _p95)):
        figures = [of(seconds) * 1000 for seconds in rounds]
        yield Result.absolute(f"explain an order of {ORDERS:,}, {name}", "ms", figures, floor=MOST_MILLISECONDS)


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20, method="inclusive")[18]
