"""Reading the audit trail of one entity."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, Integer, Text, Uuid, and_, bindparam, select

from common.database.statements import Connection, Record, prepare
from common.database.tables import audit, audit_details
from common.paging import Page, Paging

_with_details = select(*audit.c, audit_details.c.salt, audit_details.c.details, audit_details.c.ip_address).select_from(
    audit.outerjoin(audit_details)
)
_of_entity = and_(
    audit.c.entity_type == bindparam("entity_type", type_=Text),
    audit.c.entity_id == bindparam("entity_id", type_=Uuid),
)
_is_transition = and_(audit.c.outcome == "ACCEPTED", audit.c.previous_state.is_not(None))
_TRANSITIONS = prepare(_with_details.where(_of_entity, _is_transition).order_by(audit.c.position))
# Positions count from 1 without gaps: a page is found by index, and the last position is the number of all rows.
_after = bindparam("offset", type_=BigInteger)
_ROWS = prepare(
    _with_details.where(
        _of_entity, audit.c.position > _after, audit.c.position <= _after + bindparam("limit", type_=Integer)
    ).order_by(audit.c.position)
)
_ALL_ROWS = prepare(_with_details.where(_of_entity).order_by(audit.c.position))
LAST_LINK = prepare(select(audit.c.position, audit.c.hash).where(_of_entity).order_by(audit.c.position.desc()).limit(1))


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """A part of an entity's history; with `everything`, also the creation and the refused attempts."""

    everything: bool
    paging: Paging


async def history(connection: Connection, entity_type: str, entity_id: UUID) -> list[Record]:
    """Every row of one entity with its details, oldest first."""
    return await _ALL_ROWS.fetch_all(connection, entity_type=entity_type, entity_id=entity_id)


async def find_history(
    connection: Connection, entity_type: str, entity_id: UUID, filters: HistoryFilter
) -> Page[Record]:
    """Rows with their details, oldest first. The accepted transitions are few, as states only move forward."""
    paging = filters.paging
    if filters.everything:
        last = await LAST_LINK.fetch_one(connection, entity_type=entity_type, entity_id=entity_id)
        rows = await _ROWS.fetch_all(
            connection, entity_type=entity_type, entity_id=entity_id, limit=paging.limit, offset=paging.offset
        )
        return Page(rows, last["position"] if last is not None else 0)
    rows = await _TRANSITIONS.fetch_all(connection, entity_type=entity_type, entity_id=entity_id)
    return Page(rows[paging.offset : paging.offset + paging.limit], len(rows))
