"""Search of the audit trail: the newest rows that meet conditions, page by page."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

import sqlalchemy as sa

from common.audit.actor import ActorType, Trigger
from common.audit.entries import COLUMNS, Outcome
from common.database.filter_conditions import condition_on
from common.database.statements import Connection, Record, Statement, prepare
from common.database.tables import audit, audit_details
from common.errors import Problem
from common.paging import Position

_KEPT_STATEMENTS = 256


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Conditions on columns; None is no condition."""

    entity_type: str | None = None
    entity_id: UUID | None = None
    actor_id: UUID | None = None
    actor_type: ActorType | None = None
    new_state: str | None = None
    outcome: Outcome | None = None
    trigger: Trigger | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


async def search(
    connection: Connection, filters: AuditFilter, limit: int, after: Position | None
) -> tuple[list[Record], Position | None]:
    """At most `limit` rows with their details, newest first, after the position; and the position of the last row if
    there are more. Raises `Problem` for a position that is not one of this list."""
    values = {each.name: value for each in fields(filters) if (value := getattr(filters, each.name)) is not None}
    outcome = values.pop("outcome", None)
    parameters = {**values, "limit": limit + 1}
    if "actor_id" in values:
        parameters["actor_id"] = str(values["actor_id"])
    if after is not None:
        parameters |= _parameters_of(after)
    statement = _statement(frozenset(values), outcome, after is not None)
    found = await statement.fetch_all(connection, **parameters)
    rows = found[:limit]
    end = (rows[-1]["created_at"].isoformat(), str(rows[-1]["id"])) if len(found) > limit else None
    return rows, end


def _parameters_of(after: Position) -> dict[str, object]:
    try:
        return {"after_time": datetime.fromisoformat(after[0]).astimezone(UTC), "after_id": UUID(after[1])}
    except (ValueError, OverflowError):
        raise Problem.invalid("cursor", "is not a cursor of this list") from None


@lru_cache(_KEPT_STATEMENTS)
def _statement(names: frozenset[str], outcome: Outcome | None, continues: bool) -> Statement:
    """The ids first, so that details are read for the rows of the page only."""
    newest_first = (audit.c.created_at.desc(), audit.c.id.desc())
    ids = sa.select(audit.c.id).where(*(condition_on(audit, name) for name in sorted(names)))
    if outcome is not None:
        # A literal, so that the planner can use the partial index.
        ids = ids.where(audit.c.outcome == sa.literal(outcome, literal_execute=True))
    if continues:
        after = (sa.bindparam("after_time", type_=audit.c.created_at.type), sa.bindparam("after_id", type_=sa.Uuid))
        ids = ids.where(sa.tuple_(audit.c.created_at, audit.c.id) < sa.tuple_(*after))
    page = ids.order_by(*newest_first).limit(sa.bindparam("limit", type_=sa.Integer)).subquery("page")
    return prepare(
        sa.select(*COLUMNS, audit_details.c.details, audit_details.c.ip_address)
        .select_from(page.join(audit, audit.c.id == page.c.id).outerjoin(audit_details))
        .order_by(*newest_first)
    )
