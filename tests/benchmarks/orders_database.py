"""The database of the orders service: filled before a benchmark, and checked after each run."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.operations import Operation
from local_stack.postgres import Postgres

FILL = Path(__file__).with_name("orders_to_ship.sql").read_text()
_ID = "lpad(to_hex(n), 32, '0')"
SEARCHABLE = (
    FILL.replace("'ORD-2025-' || lpad(n::text, 8, '0')", f"'ORD-2025-' || upper({_ID})")
    .replace("md5((n % 1000)::text)::uuid", "md5((n / 10)::text)::uuid")
    .replace("'ada@example.org', 'Ada Łukasiewicz'", f"'c' || {_ID} || '@example.org', 'Ada N' || {_ID}")
    .replace("119.40, 22.69, 142.09, 142.09", "n, 0, n, n")
    .replace("'pi_' || n", f"'pi_' || {_ID}")
    .replace(
        "customer_id, customer_email", "tracking_number, external_id, external_id_owner, customer_id, customer_email"
    )
    .replace(
        "md5((n / 10)::text)::uuid,", f"'TRK' || {_ID}, 'ext-' || {_ID}, md5('')::uuid, md5((n / 10)::text)::uuid,"
    )
)
HISTORY = Path(__file__).with_name("orders_history.sql").read_text()
ROWS = Path(__file__).with_name("orders_written.sql").read_text()
TABLES = [
    *("orders", "order_lines", "audit", "audit_details", "order_count_changes", "outbox", "outbox_pending"),
    "idempotency_keys",
]
# Ids, times, hashes and other values that differ each time.
VARYING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)|\\\\x[0-9a-f]+"
    r"|00-[0-9a-f]{32}-[0-9a-f]{16}-01|ORD-\d{4}-\d+|pi_\d+"
    r'|(?<="next_cursor":")[^"]+'
)


class UnexpectedRowsError(Exception):
    """The rows of a server do not match its responses, or those of another server."""


class OrdersDatabase:
    def __init__(self, postgres: Postgres, name: str = "orders") -> None:
        self._postgres, self._name = postgres, name
        self._used = 0

    @property
    def pid(self) -> int:
        return self._postgres.pid

    def numbers(self, count: int) -> tuple[int, int]:
        """Reserve unused numbers; the first and the last."""
        first, self._used = self._used + 1, self._used + count
        return first, self._used

    def fill(self, count: int, *, searchable: bool = False) -> tuple[int, int]:
        """Insert orders that can be shipped; the numbers of the first and the last, which are also their ids. With
        `searchable`, what people know of an order has its id, and each customer has ten orders."""
        first, last = self.numbers(count)
        self._run(f"\\set first {first}", f"\\set last {last}", SEARCHABLE if searchable else FILL)
        self._run("ANALYZE orders, order_lines;", "CHECKPOINT;")
        return first, last

    def fill_history(self, orders: int) -> None:
        """Insert the rows of other tables that so many orders leave."""
        self._run(f"\\set orders {orders}", HISTORY, "VACUUM ANALYZE;")

    def for_a_run(self, operation: Operation) -> tuple[int, int]:
        """Numbers for a run of the operation: those of new orders if it needs orders, else unused ones."""
        return (self.fill if operation.needs_orders else self.numbers)(operation.numbers_a_run)

    def written(self) -> Counter[str]:
        """The number of rows of each table."""
        counts = ", ".join(f"'{table}', (SELECT count(*) FROM {table})" for table in TABLES)  # noqa: S608
        return Counter(json.loads(self._run(f"SELECT json_build_object({counts});")))

    def check(self, before: Counter[str], rows_per_request: Mapping[str, int], requests: int) -> None:
        """Raises `UnexpectedRowsError` unless the requests wrote their rows and nothing else was written."""
        expected = Counter({table: rows * requests for table, rows in rows_per_request.items()})
        if (rows_written := self.written() - before) != expected:
            raise UnexpectedRowsError(f"{dict(rows_written)}, not {dict(expected)}")

    def rows_of(self, order_id: str) -> dict[str, Any]:
        """The rows of an order, with ids, times and hashes replaced by a constant, and amounts as decimals."""
        rows: dict[str, Any] = without_varying(self._run(f"\\set id {order_id}", ROWS))
        return rows

    def _run(self, *lines: str) -> str:
        return self._postgres.execute(*lines, database=self._name)


def without_varying(document: str) -> Any:
    return json.loads(VARYING.sub("…", document), parse_float=Decimal)
