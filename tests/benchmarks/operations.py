"""The requests that benchmarks send to the orders gateway, with the rows that each of them writes."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

ADDRESS = {
    "street": "Großer Hirschgraben 23",
    "city": "Frankfurt am Main",
    "state": "Hessen",
    "zip": "60311",
    "country": "DE",
}
LINES = [
    {
        "product_id": f"5fb4e3d9-7a46-4dfa-b4c2-fac97b08b37{quantity}",
        "product_name": "Stoneware bowl, celadon glaze",
        "quantity": quantity,
        "unit_price": 19.90,
        "tax_rate": 19,
    }
    for quantity in (1, 2, 3)
]
ORDER = {
    "customer_id": "0ada0ada-0000-4000-8000-000000000001",
    "customer_email": "ada@example.org",
    "customer_name": "Ada Łukasiewicz",
    "currency": "EUR",
    "line_items": LINES,
    "payment_method": "card",
    "shipping_address": ADDRESS,
    "billing_address": ADDRESS,
}
SHIPMENT = {"new_state": "SHIPPED", "tracking_number": "TRK-123456789", "carrier": "DHL"}


@dataclass(frozen=True)
class Operation:
    """A kind of request. `{id}` is the number of an order; `floor` and `aim` are ratios to the rate of the limit."""

    name: str
    role: str
    method: str
    path: str
    floor: float
    aim: float
    body: str = ""
    writes: Mapping[str, int] = field(default_factory=dict, hash=False)
    # Numbers that a run reserves: more than any server can process. 0 for an operation that only reads.
    numbers_a_run: int = 0
    needs_orders: bool = False

    def headers(self, keys: Mapping[str, str]) -> dict[str, str]:
        headers = {"X-API-Key": keys[self.role]}
        if self.writes:
            headers["Idempotency-Key"] = "{id}"
        if self.body:
            headers["Content-Type"] = "application/json"
        return headers

    def request(self, keys: Mapping[str, str]) -> str:
        """The HTTP message as a template for the load client."""
        headers = {"Host": "bench", **self.headers(keys)}
        if self.body:
            headers["Content-Length"] = str(len(self.body.encode()))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n{self.body}"


_EVERY_CHANGE = {"audit": 1, "audit_details": 1, "outbox": 1, "outbox_pending": 1, "idempotency_keys": 1}
READ = Operation("read an order", "manager", "GET", "/api/v1/orders/{id}", floor=0.35, aim=0.55, needs_orders=True)
LIST = Operation("list 20 orders", "manager", "GET", "/api/v1/orders?limit=20&offset=0", floor=0.4, aim=0.7)
PLACE = Operation(
    "place an order",
    "client",
    "POST",
    "/api/v1/orders",
    floor=0.45,
    aim=0.7,
    body=json.dumps(ORDER),
    writes=Counter(orders=1, order_lines=3, order_count_changes=1, **_EVERY_CHANGE),
    numbers_a_run=10_000,
)
SHIP = Operation(
    "ship an order",
    "warehouse",
    "PATCH",
    "/api/v1/orders/{id}/state",
    floor=0.5,
    aim=0.8,
    body=json.dumps(SHIPMENT),
    writes=Counter(order_count_changes=2, **_EVERY_CHANGE),
    numbers_a_run=4_000,
    needs_orders=True,
)
