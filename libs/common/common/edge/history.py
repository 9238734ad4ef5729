"""An entity's history, as both gateways show it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from typing_extensions import TypedDict

from common.audit import ActorType, Outcome, Trigger
from common.database.statements import Record


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


def transitions(rows: Iterable[Record]) -> list[Record]:
    """Without the creation and without what was refused."""
    return [row for row in rows if row["outcome"] == "ACCEPTED" and row["previous_state"] is not None]


def history_response(rows: Iterable[Record]) -> dict[str, object]:
    """As `HistoryResponse`."""
    return {"data": [_record(row) for row in rows]}


def _record(row: Record) -> dict[str, object]:
    """Details are kept as the text of a JSON object; they are null once they were erased."""
    shown: dict[str, object] = {name: row[name] for name in HistoryRecord.__annotations__ if name != "metadata"}
    return {**shown, "metadata": msgspec.Raw((row["details"] or "{}").encode())}
