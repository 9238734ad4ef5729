"""Statements on the table of discrepancies: open, seen again, repaired, acknowledged, resolved."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from common.database.statements import Connection, prepare
from common.database.tables import discrepancies
from common.reconciliation.check import Finding
from common.text.storable import LONGEST_ERROR, storable, storable_json

# The name of a discrepancy in the audit trail.
ENTITY = "DISCREPANCY"
_row = discrepancies.c
_is_open = _row.resolved_at.is_(None)
# It needs people.
is_reported = sa.and_(_is_open, _row.acknowledged_at.is_(None))
_check = sa.bindparam("check_name", type_=sa.Text)
_subject = sa.bindparam("of_subject", type_=sa.Text)
_id = sa.bindparam("discrepancy_id", type_=sa.Uuid)
_OPEN_OF_CHECK = prepare(
    sa.select(
        *(_row.id, _row.subject, _row.repairs, _row.first_seen, _row.acknowledged_at.is_not(None).label("acknowledged"))
    ).where(_row.check == _check, _is_open)
)
_OPEN = prepare(
    insert(discrepancies)
    .values(
        id=_id,
        check=_check,
        subject=_subject,
        key=sa.bindparam("of_key", type_=sa.Text),
        details=sa.bindparam("of_details", type_=JSONB),
    )
    .on_conflict_do_nothing(index_elements=[_row.check, _row.subject], index_where=_is_open)
    .returning(_row.first_seen)
)
_SEEN_AGAIN = prepare(
    sa.update(discrepancies)
    .where(_row.id == _id, _is_open)
    .values(
        last_seen=sa.func.now(),
        occurrences=_row.occurrences + 1,
        details=sa.bindparam("of_details", type_=JSONB),
    )
)
_NOT_ACKNOWLEDGED = {"acknowledged_at": None, "acknowledged_by": None, "acknowledged_reason": None}
_WITHDRAW = prepare(
    sa.update(discrepancies)
    .where(_row.id == _id, _row.acknowledged_at.is_not(None), _row.details != sa.bindparam("of_details", type_=JSONB))
    .values(_NOT_ACKNOWLEDGED)
    .returning(_row.occurrences)
)
_ACKNOWLEDGE = prepare(
    sa.update(discrepancies)
    .where(_row.id == _id, is_reported)
    .values(
        acknowledged_at=sa.func.now(),
        acknowledged_by=sa.bindparam("by", type_=sa.Text),
        acknowledged_reason=sa.bindparam("reason", type_=sa.Text),
    )
)
_RESOLVE = prepare(
    sa.update(discrepancies)
    .where(
        _row.check == _check,
        _is_open,
        sa.not_(_row.subject == sa.any_(sa.bindparam("found", type_=ARRAY(sa.Text)))),
    )
    .values(resolved_at=sa.func.now())
    .returning(_row.id, _row.subject)
)
_RESOLVE_OTHER_CHECKS = prepare(
    sa.update(discrepancies)
    .where(_is_open, sa.not_(_row.check == sa.any_(sa.bindparam("checks", type_=ARRAY(sa.Text)))))
    .values(resolved_at=sa.func.now())
)
# Only by who saw this number of repairs: of two processes, one repairs.
_is_repair = sa.and_(_row.id == _id, _is_open, _row.repairs == sa.bindparam("repairs_before", type_=sa.Integer))
_BEGIN_REPAIR = prepare(
    sa.update(discrepancies)
    .where(_is_repair)
    .values(repairs=_row.repairs + 1, repaired_at=sa.func.now(), repair_error=None)
)
_REPAIR_FAILED = prepare(
    sa.update(discrepancies)
    .where(_is_repair)
    .values(repairs=_row.repairs + 1, repair_error=sa.bindparam("error", type_=sa.Text))
)
_COUNT_REPORTED = prepare(sa.select(_row.check, sa.func.count().label("rows")).where(is_reported).group_by(_row.check))


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """An open row: what was found, under an id."""

    id: UUID
    check: str
    finding: Finding
    first_seen: datetime


@dataclass(frozen=True, slots=True)
class OpenRow:
    id: UUID
    repairs: int
    first_seen: datetime
    acknowledged: bool = False


async def open_of(connection: Connection, check: str) -> dict[str, OpenRow]:
    """The open discrepancies of a check, by their subjects."""
    rows = await _OPEN_OF_CHECK.fetch_all(connection, check_name=check)
    return {row["subject"]: OpenRow(row["id"], row["repairs"], row["first_seen"], row["acknowledged"]) for row in rows}


async def open_new(connection: Connection, check: str, finding: Finding) -> Discrepancy | None:
    """None when the check has an open discrepancy with this subject."""
    discrepancy_id = uuid4()
    first_seen = await _OPEN.fetch_value(
        connection,
        discrepancy_id=discrepancy_id,
        check_name=check,
        of_subject=finding.subject,
        of_key=finding.key,
        of_details=storable_json(finding.details),
    )
    return None if first_seen is None else Discrepancy(discrepancy_id, check, finding, first_seen)


async def see_again(connection: Connection, seen: Iterable[tuple[OpenRow, Mapping[str, Any]]]) -> None:
    rows = [{"discrepancy_id": row.id, "of_details": storable_json(details)} for row, details in seen]
    if rows:
        await _SEEN_AGAIN.execute_many(connection, rows)


async def withdraw_acknowledgement(
    connection: Connection, check: str, finding: Finding, row: OpenRow
) -> tuple[Discrepancy, int] | None:
    """Reopen an acknowledged discrepancy if its details have changed. Returns it and the number of times that it was
    found, or None if nothing has changed."""
    occurrences: int | None = await _WITHDRAW.fetch_value(
        connection, discrepancy_id=row.id, of_details=storable_json(finding.details)
    )
    return None if occurrences is None else (Discrepancy(row.id, check, finding, row.first_seen), occurrences)


async def acknowledge(connection: Connection, discrepancy_id: UUID, reason: str, by: str) -> bool:
    """False where it is not open, or acknowledged already."""
    return await _ACKNOWLEDGE.execute(connection, discrepancy_id=discrepancy_id, reason=reason, by=by) == 1


async def resolve(connection: Connection, check: str, found: Collection[str]) -> list[str]:
    """Resolve what the check does not find any more; returns the subjects."""
    return [row["subject"] for row in await _RESOLVE.fetch_all(connection, check_name=check, found=list(found))]


async def resolve_other_checks(connection: Connection, checks: Collection[str]) -> None:
    """Resolve what was found by checks that do not exist any more."""
    await _RESOLVE_OTHER_CHECKS.execute(connection, checks=list(checks))


async def begin_repair(connection: Connection, row: OpenRow) -> bool:
    """Record a repair, in its transaction. False when another process repairs it, or it is resolved."""
    return await _BEGIN_REPAIR.execute(connection, discrepancy_id=row.id, repairs_before=row.repairs) == 1


async def record_failed_repair(connection: Connection, row: OpenRow, error: str) -> None:
    text = storable(error, LONGEST_ERROR)
    await _REPAIR_FAILED.execute(connection, discrepancy_id=row.id, repairs_before=row.repairs, error=text)


async def count_reported(connection: Connection) -> dict[str, int]:
    """The number of discrepancies that are open and not acknowledged, by check."""
    return {row["check"]: row["rows"] for row in await _COUNT_REPORTED.fetch_all(connection)}
