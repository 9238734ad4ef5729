"""Bodies of the state change of many orders."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from common.database.statements import Record
from common.edge.requests.fields import Line, RequestBody
from common.edge.requests.query import Instant
from pydantic import Field, model_validator
from typing_extensions import TypedDict

from orders.domain.states import OrderStatus
from orders.repository.reading import OrderFilter
from orders.schemas.requests import OrderStateChange
from orders.use_cases.bulk import MOST_ORDERS

_WHICH = ("order_ids", "filter", "selection")


class OrderSelection(RequestBody):
    """Conditions on orders, at least one; both ends of the time of creation are included."""

    customer_id: UUID | None = None
    status: OrderStatus | None = None
    created_from: Instant | None = None
    created_to: Instant | None = None

    @model_validator(mode="after")
    def _has_a_condition(self) -> "OrderSelection":
        if not any(value is not None for value in self.to_domain_values()):
            raise ValueError("must have at least one condition")
        return self

    def to_domain_values(self) -> tuple[UUID | None, OrderStatus | None, datetime | None, datetime | None]:
        return self.customer_id, self.status, self.created_from, self.created_to

    def to_domain(self) -> OrderFilter:
        return OrderFilter(*self.to_domain_values())


class BulkStateChange(RequestBody):
    """The orders are named by exactly one of `order_ids`, `filter` (with `dry_run`) and `selection`, which a dry run
    with the same `change` gave."""

    order_ids: list[UUID] | None = Field(default=None, min_length=1, max_length=MOST_ORDERS)
    filter: OrderSelection | None = None
    selection: Line | None = Field(default=None, max_length=100)
    dry_run: bool = Field(default=False, strict=True)
    change: OrderStateChange

    @model_validator(mode="after")
    def _names_the_orders_once(self) -> "BulkStateChange":
        self.refuse(self._misfits())
        return self

    def _misfits(self) -> Iterator[tuple[tuple[str], str]]:
        if len([name for name in _WHICH if getattr(self, name) is not None]) != 1:
            yield ("order_ids",), f"exactly one of {', '.join(_WHICH)} must be given"
        if self.order_ids is not None and len(set(self.order_ids)) < len(self.order_ids):
            yield ("order_ids",), "must not name an order twice"
        if self.filter is not None and not self.dry_run:
            yield ("dry_run",), "must be true with a filter; then repeat the request with the selection of its answer"
        if self.filter is None and self.dry_run:
            yield ("dry_run",), "goes with a filter only"


class BulkError(TypedDict):
    code: str
    message: str
    details: dict[str, Any]


class BulkResult(TypedDict):
    """`status` and `version` are null for a refused change, `error` is null for any other."""

    order_id: UUID
    outcome: Literal["changed", "unchanged", "refused", "selected"]
    status: OrderStatus | None
    version: int | None
    error: BulkError | None


class BulkSummary(TypedDict):
    changed: int
    unchanged: int
    refused: int
    selected: int


class BulkStateResponse(TypedDict):
    """`matched` is the number of orders that the request names; of a filter, the first 500 are selected. `selection`
    is null unless it was a dry run."""

    matched: int
    selection: str | None
    summary: BulkSummary
    data: list[BulkResult]


def bulk_response(order_ids: Sequence[UUID], results: Iterable[Mapping[str, Any]]) -> BulkStateResponse:
    return _response([_result(*each) for each in zip(order_ids, results, strict=True)], len(order_ids), None)


def selection_response(orders: Iterable[Record], matched: int, selection: str) -> BulkStateResponse:
    """The answer to a dry run."""
    rows = [
        _result(each["id"], {"outcome": "selected", "status": each["status"], "version": each["version"]})
        for each in orders
    ]
    return _response(rows, matched, selection)


def _result(order_id: UUID, result: Mapping[str, Any]) -> BulkResult:
    problem = result.get("problem")
    return {
        "order_id": order_id,
        "outcome": "refused" if problem is not None else result["outcome"],
        "status": result.get("status"),
        "version": result.get("version"),
        "error": problem,
    }


def _response(rows: list[BulkResult], matched: int, selection: str | None) -> BulkStateResponse:
    outcomes = [row["outcome"] for row in rows]
    summary: BulkSummary = {
        "changed": outcomes.count("changed"),
        "unchanged": outcomes.count("unchanged"),
        "refused": outcomes.count("refused"),
        "selected": outcomes.count("selected"),
    }
    return {"matched": matched, "selection": selection, "summary": summary, "data": rows}
