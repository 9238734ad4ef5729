"""Audit rows of what operators do to objects that have no chain of their own."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from common.audit import entries
from common.audit.actor import Actor
from common.audit.entries import AuditEntry
from common.database.statements import Connection


async def record(
    connection: Connection,
    actor: Actor,
    entity_type: str,
    entity_id: UUID,
    before: str | None,
    after: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    entry = AuditEntry(entity_type, entity_id, before, after, "ACCEPTED", actor, datetime.now(UTC), details or {})
    await entries.append(connection, entry)


async def record_jobs(
    connection: Connection, actor: Actor, changed: Iterable[tuple[UUID, str]], after: str, details: Mapping[str, Any]
) -> None:
    """One row for each job that was changed: its id and the state before. Their rows are locked."""
    now = datetime.now(UTC)
    await entries.append_all(
        connection,
        "JOB",
        [
            AuditEntry("JOB", job_id, before.upper(), after, "ACCEPTED", actor, now, details)
            for job_id, before in changed
        ],
    )
