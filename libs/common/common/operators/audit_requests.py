"""Verifications of the audit trail that operators request or that are due, and their results."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.audit import entries
from common.audit.actor import Actor
from common.audit.entries import AuditEntry
from common.database.paging import PagedQuery
from common.database.statements import Connection, Record, prepare
from common.database.tables import audit_verifications
from common.paging import Page, Paging

_page = (
    sa.select(audit_verifications)
    .order_by(audit_verifications.c.id.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .offset(sa.bindparam("offset", type_=sa.BigInteger))
    .subquery("page")
)
_total = sa.select(sa.func.count()).select_from(audit_verifications).scalar_subquery()


def _without_total(row: Record) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "total"}


_LIST = PagedQuery(_page, _total, _page.c.id.desc(), load=_without_total)
_REQUEST = prepare(sa.insert(audit_verifications).values(started_at=None).returning(*audit_verifications.c))
_hours = sa.bindparam("hours", type_=sa.Double)
_is_recent = audit_verifications.c.requested_at > sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, _hours * 3600)
_REQUEST_DUE = prepare(
    sa.insert(audit_verifications).from_select(
        ["started_at"],
        sa.select(sa.cast(sa.null(), audit_verifications.c.started_at.type)).where(
            ~sa.exists(sa.select(audit_verifications.c.id).where(_is_recent))
        ),
    )
)
_next = (
    sa.select(audit_verifications.c.id)
    .where(audit_verifications.c.started_at.is_(None))
    .order_by(audit_verifications.c.id)
    .limit(sa.literal_column("1"))
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_START = prepare(
    sa.update(audit_verifications)
    .where(audit_verifications.c.id == _next)
    .values(started_at=sa.func.clock_timestamp())
    .returning(audit_verifications.c.id)
)
_FINISH = prepare(
    sa.update(audit_verifications)
    .where(audit_verifications.c.id == sa.bindparam("verification_id"))
    .values(finished_at=sa.func.clock_timestamp(), result=sa.bindparam("result"))
)


async def list_verifications(connection: Connection, paging: Paging) -> Page[dict[str, Any]]:
    """The latest first."""
    return await _LIST.fetch(connection, paging)


async def request_verification(connection: Connection, actor: Actor) -> dict[str, Any]:
    """Let a relay verify the whole audit trail."""
    [row] = await _REQUEST.fetch_all(connection)
    entity = UUID(int=row["id"])
    entry = AuditEntry("AUDIT_VERIFICATION", entity, None, "REQUESTED", "ACCEPTED", actor, datetime.now(UTC))
    await entries.append(connection, entry)
    return dict(row)


async def request_due(connection: Connection, hours: float) -> None:
    """Request a verification unless one was requested in these hours."""
    await _REQUEST_DUE.execute(connection, hours=hours)


async def start_requested(connection: Connection) -> int | None:
    """Take the oldest request that no process has taken; returns its id."""
    verification_id: int | None = await _START.fetch_value(connection)
    return verification_id


async def finish(connection: Connection, verification_id: int, result: Mapping[str, Any]) -> None:
    await _FINISH.execute(connection, verification_id=verification_id, result=result)
