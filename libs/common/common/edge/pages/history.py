"""An entity's history, as both gateways show it."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from typing_extensions import TypedDict

from common.audit.trail import ActorType, HistoryPage, HistoryWanted, Outcome, Trigger
from common.database.statements import Record
from common.edge.requests.fields import Limit, Offset, Pagination, pagination


class HistoryRecord(TypedDict):
    id: UUID
    entity_type: str
    entity_id: UUID
    previous_state: str | None
    new_state: str
    outcome: Outcome
    actor_id: str | None
    actor_type: ActorType
    trigger: Trigger
    metadata: dict[str, Any]
    ip_address: str | None
    created_at: datetime


class HistoryResponse(TypedDict):
    data: list[HistoryRecord]
    pagination: Pagination


def history_wanted(include: Literal["all"] | None = None, limit: Limit = 100, offset: Offset = 0) -> HistoryWanted:
    """Query parameters, as a dependency. An entity has fewer accepted transitions than a page holds: only with what was
    refused can there be several pages."""
    return HistoryWanted(include == "all", limit, offset)


def history_response(page: HistoryPage, wanted: HistoryWanted) -> dict[str, object]:
    """As `HistoryResponse`."""
    rows = page.rows
    shown = pagination(limit=wanted.limit, offset=wanted.offset, total=page.total, given=len(rows))
    return {"data": [_record(row) for row in rows], "pagination": shown}


def _record(row: Record) -> dict[str, object]:
    """Details are kept as the text of a JSON object; they are null once they were erased."""
    shown: dict[str, object] = {name: row[name] for name in HistoryRecord.__annotations__ if name != "metadata"}
    return {**shown, "metadata": msgspec.Raw((row["details"] or "{}").encode())}
