"""A service that answers every request of the console with as many and as long values as its API allows."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from support.console import largest_trade as trade
from support.console import largest_work as work


def _page(row: Callable[[int], Mapping[str, Any]], most: int = 100) -> Callable[[Request], Any]:
    def answer(request: Request) -> Any:
        limit = min(int(request.query_params.get("limit", "20")), most)
        pagination = {"limit": limit, "total": 1_000_000, "has_more": True, "next_cursor": "c" * 300}
        return {"data": [row(number) for number in range(limit)], "pagination": pagination}

    return answer


ANSWERS: Mapping[str, Callable[[Request], Any]] = {
    "/ops/status": work.status,
    "/ops/failures": lambda _: {"jobs": 10**6, "data": [work.group(number) for number in range(100)]},
    "/ops/jobs": _page(work.a_job),
    "/ops/jobs/{id}": lambda _: {**work.a_job(1), "attempts_made": [work.attempt(number) for number in range(100)]},
    "/ops/job-kinds": lambda _: {"data": [work.kind(number) for number in range(6)]},
    "/ops/poison": _page(work.poison),
    "/ops/poison/{id}": lambda _: {
        **work.poison(1),
        "key": "eA==",
        "value": "eHh4" * 100_000,
        "headers": [["h" * 50, "eA=="]] * 20,
    },
    "/ops/outbox": _page(work.event),
    "/ops/outbox/{id}": lambda _: work.event(1),
    "/ops/discrepancies": _page(work.discrepancy),
    "/ops/audit-verifications": _page(work.verification),
    "/ops/api-keys": _page(work.api_key),
    "/audit": _page(work.audit),
    "/orders": _page(trade.an_order),
    "/orders/{id}": lambda _: trade.an_order(1, lines=200),
    "/orders/{id}/explain": trade.explained,
    "/orders/{id}/history": _page(work.history),
    "/orders/{id}/invoice": lambda _: {"invoice_number": "INV-2026-000001", "download_url": "/api/v1/documents/x"},
    "/documents/{id}": lambda _: {},
    "/returns": _page(trade.a_return),
    "/returns/{id}": lambda _: trade.a_return(1),
    "/returns/{id}/history": _page(work.history),
    "/refunds": _page(trade.refund),
    "/refunds/book": trade.book,
    "/refunds/{id}": lambda _: trade.refund(1),
}


def largest_service() -> Starlette:
    """A service that stands for any of the four, and gives the largest answer to each request."""

    def endpoint(answer: Callable[[Request], Any]) -> Any:
        async def respond(request: Request) -> Response:
            return JSONResponse(answer(request))

        return respond

    return Starlette(routes=[Route(f"/api/v1{path}", endpoint(answer)) for path, answer in ANSWERS.items()])
