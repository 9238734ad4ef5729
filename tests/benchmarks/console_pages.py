"""How long the pages of the console take, and how large they are, with many stored orders, jobs and events.

CONSOLE_ORDERS sets another number of orders than 100,000. Each service has as many audit rows, events, and jobs that
are done and that wait, and a hundredth of that failed; refunds and returns have as many objects.
"""

import contextlib
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from benchmarks import subjects
from benchmarks.orders_database import OrdersDatabase
from benchmarks.results import Result
from local_stack.program import Program
from local_stack.services import SERVICES
from local_stack.stack import Stack
from support.console.html import forms_of, parse

ROWS = int(os.environ.get("CONSOLE_ORDERS", "100000"))
ROUNDS = 5
MOST_MILLISECONDS = 300.0
MOST_KILOBYTES = 100.0
OWN_ROWS = {"orders": "", "returns": "console_returns.sql", "refunds": "console_money.sql", "invoicing": ""}
ORDER = "00000000-0000-0000-0000-000000000064"
# An actor who has changed nothing: no row ends the search early.
ACTOR = "00000000-0000-0000-0000-0000000000ac"
LISTS = (
    "/", "/overview/live", "/orders", "/orders?by=customer_email&text=c00000000000000000000000000000064@example.org",
    f"/orders/{ORDER}", "/returns", "/returns?status=COMPLETED", f"/returns/{ORDER}", "/failures",
    "/failures/live",
    "/failures/group?service=orders&kind=history&cause=OSError: shelf of kind b is full", "/jobs", "/jobs?state=done",
    "/jobs?state=dead", "/jobs?kind=history&state=done&service=orders", "/jobs?business_key=history-77", "/kinds",
    "/poison", "/poison?service=orders&state=", "/unsent-events", "/unsent-events?state=pending", "/findings",
    "/findings?state=&check=invoice_missing", "/refunds", "/refunds?status=DECLINED", f"/refunds/{ORDER}", "/book",
    f"/book?order_id={ORDER}", "/audit", f"/audit?service=orders&entity_id={ORDER}", "/audit?outcome=REFUSED",
    f"/audit?actor_id={ACTOR}", "/audit?new_state=PAID", "/audit?new_state=DISCARDED", "/audit/verifications",
    "/api-keys",
)  # fmt: skip
WITH_NOTICES = ("/", "/overview/live", "/book", f"/book?order_id={ORDER}", f"/orders/{ORDER}")
# The first row of these leads to one more page.
LINKS = ("/jobs?state=dead&service=orders", "/poison?service=orders", "/unsent-events?service=orders")


def measure() -> Iterator[Result]:
    with subjects.stack() as stack, contextlib.ExitStack() as running:
        fill(stack)
        for service in SERVICES:
            running.enter_context(subjects.running(stack, service, "api"))
        console = next(each.server for each in stack.fronts if each.service == "console")
        assert isinstance(console, Program)
        running.enter_context(console)
        with logged_in(f"http://127.0.0.1:{console.port}", stack.credentials.api_keys["ops"]) as client:
            for path in (*LISTS, *(_first_link(client, each) for each in LINKS)):
                yield from _judge(client, path)


def fill(stack: Stack) -> None:
    folder = Path(__file__).parent
    OrdersDatabase(stack.postgres).fill(ROWS, searchable=True)
    for service in SERVICES:
        OrdersDatabase(stack.postgres, service).fill_history(ROWS)
        files = ["console_rows.sql", OWN_ROWS[service]]
        lines = [(folder / name).read_text() for name in files if name]
        stack.postgres.execute(f"\\set rows {ROWS}", *lines, "VACUUM ANALYZE;", "CHECKPOINT;", database=service)


@contextlib.contextmanager
def logged_in(url: str, key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Origin": url}, timeout=60, follow_redirects=True) as client:
        [form] = [each for each in forms_of(parse(client.get("/login").text)) if "Log in" in each.buttons]
        client.post(form.action, data={**form.fields, "api_key": key}).raise_for_status()
        yield client


def _first_link(client: httpx.Client, path: str) -> str:
    tables = parse(client.get(path).text).all("tbody")
    links = [link.attributes["href"] for table in tables for cell in table.all("th") for link in cell.all("a")]
    assert links, f"{path} has no link"
    return links[0]


def _judge(client: httpx.Client, path: str) -> Iterator[Result]:
    """The first request warms up."""
    milliseconds, size = [], 0
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        response = client.get(path)
        milliseconds.append((time.perf_counter() - started) * 1000)
        assert response.status_code == 200, f"{path}: {response.status_code}"
        # A refusal of a service is a notice in its section of the page.
        assert path in WITH_NOTICES or '<p class="notice bad">' not in response.text, f"{path}: {response.text}"
        size = len(response.content)
    name = f"console with {ROWS:,} orders, {path}"
    yield Result.absolute(name, "ms", [statistics.median(milliseconds[1:])], floor=MOST_MILLISECONDS)
    yield Result.absolute(f"{name}, size", "kB", [size / 1000], floor=MOST_KILOBYTES)
