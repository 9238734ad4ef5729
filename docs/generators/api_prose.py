"""What the OpenAPI documents say in words, besides the descriptions of routes: titles, servers, tags."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Server = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prose:
    title: str
    description: str
    servers: tuple[Server, ...]


_CALLS = """Send an API key in `X-API-Key`. A key has one role; each operation names the roles that may call it.

Every error has the shape `ErrorResponse`, and is `application/problem+json` if `Accept` asks for it. The schemas of a
status are those of its error codes: `error.code` says which one it is, and `error.details` has its members. A client
must ignore members that it does not know.

Send an `Idempotency-Key` with each request that changes something: then it may be sent again after a timeout, a 500 or
a 503, and its effect happens once. After a 429 or a 503, wait for the seconds of `Retry-After`."""


def _server(port: int, description: str) -> Server:
    """An address of Docker Compose; that of another installation is given to the client."""
    return {"url": f"http://127.0.0.1:{port}", "description": description}


CLIENTS = Prose(
    "ArtiCurated",
    f"""Orders and returns of a marketplace of artisanal goods, for shops, warehouses and their tools.

{_CALLS}""",
    (_server(8000, "One origin for orders and returns."),),
)
_PORTS = {"orders": 8001, "returns": 8002, "invoicing": 8003, "refunds": 8004}
_PURPOSES = {
    "orders": "The jobs, poison records, unpublished events and API keys of the service orders, for its operators.",
    "returns": "The jobs, poison records, unpublished events and API keys of the service returns, for its operators.",
    "invoicing": "Invoices and their documents, for staff, and the operators' routes of the service invoicing.",
    "refunds": "Refunds and their attempts, for staff, and the operators' routes of the service refunds.",
}
OPERATORS: Mapping[str, Prose] = {
    service: Prose(
        f"ArtiCurated {service}, operators' side",
        f"{purpose}\n\n{_CALLS}",
        (_server(_PORTS[service], f"The service {service} itself."),),
    )
    for service, purpose in _PURPOSES.items()
}
TAGS: Mapping[str, str] = {
    "Orders": "An order from its placement to its delivery or its cancellation.",
    "Returns": "A return of a delivered order, from the request to the refund.",
    "Invoices": "Invoices of shipped orders, and their PDFs.",
    "Refunds": "Refunds of returned and cancelled orders, with their attempts at the payment gateway.",
    "Health": "Whether the service works, its counts and its response times.",
    "Audit": "The audit trail of all objects: search, export and proofs.",
    "Operations": "Work that failed and is to be done again, and API keys: for the role `ops`.",
}
