"""Statements on the table of discrepancies: open, seen again, repaired, acknowledged, resolved."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from common.database.statements import Connection, prepare
from common.database.tables import discrepancies
from common.reconciliation.check import Check, Finding
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
_details = sa.bindparam("of_details", type_=JSONB)
_volatile = sa.bindparam("volatile", type_=ARRAY(sa.Text))
# Whether the details are those that are stored, but for the volatile ones.
_is_same = _row.details.op("-")(_volatile) == _details.op("-")(_volatile)
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
        details=_details,
        volatile_details=_volatile,
    )
    .on_conflict_do_nothing(index_elements=[_row.check, _row.subject], index_where=_is_open)
    .returning(_row.first_seen)
)
# What was acknowledged is not replaced by other details: an operator may acknowledge while a round runs, and the next
# one reports the change.
_SEEN_AGAIN = prepare(
    sa.update(discrepancies)
    .where(_row.id == _id, _is_open, sa.or_(_row.acknowledged_at.is_(None), _is_same))
    .values(last_seen=sa.func.now(), occurrences=_row.occurrences + 1, details=_details, volatile_details=_volatile)
)
_NOT_ACKNOWLEDGED = {"acknowledged_at": None, "acknowledged_by": None, "acknowledged_reason": None}
_WITHDRAW = prepare(
    sa.update(discrepancies)
    .where(_row.id == _id, _row.acknowledged_at.is_not(None), sa.not_(_is_same))
    .values(_NOT_ACKNOWLEDGED)
    .returning(_row.occurrences)
)
_LOCK_OPEN = prepare(
    sa.select(_row.details, _row.volatile_details).where(_row.id == _id, is_reported).with_for_update()
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
_COUNT_ACKNOWLEDGED = prepare(
    sa.select(sa.func.count())
    .select_from(discrepancies)
    .where(_row.check == _check, _is_open, _row.acknowledged_at.is_not(None))
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


@dataclass(frozen=True, slots=True)
class OpenDetails:
    details: Mapping[str, Any]
    volatile: Sequence[str]

    def are_those(self, shown: Mapping[str, Any]) -> bool:
        """Whether they are what was shown to a person, but for the volatile ones."""
        return self._lasting(shown) == self._lasting(self.details)

    def _lasting(self, details: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in details.items() if name not in self.volatile}


async def open_of(connection: Connection, check: str) -> dict[str, OpenRow]:
    """The open discrepancies of a check, by their subjects."""
    rows = await _OPEN_OF_CHECK.fetch_all(connection, check_name=check)
    return {row["subject"]: OpenRow(row["id"], row["repairs"], row["first_seen"], row["acknowledged"]) for row in rows}


async def open_new(connection: Connection, check: Check, finding: Finding) -> Discrepancy | None:
    """None when the check has an open discrepancy with this subject."""
    discrepancy_id = uuid4()
    first_seen = await _OPEN.fetch_value(
        connection,
        discrepancy_id=discrepancy_id,
        check_name=check.name,
        of_subject=finding.subject,
        of_key=finding.key,
        **_compared(check, finding.details),
    )
    return None if first_seen is None else Discrepancy(discrepancy_id, check.name, finding, first_seen)


async def see_again(connection: Connection, check: Check, seen: Iterable[tuple[OpenRow, Mapping[str, Any]]]) -> None:
    """Store the latest details, unless a person has acknowledged other ones."""
    rows = [{"discrepancy_id": row.id, **_compared(check, details)} for row, details in seen]
    if rows:
        await _SEEN_AGAIN.execute_many(connection, rows)


async def withdraw_acknowledgement(
    connection: Connection, check: Check, finding: Finding, row: OpenRow
) -> tuple[Discrepancy, int] | None:
    """Reopen an acknowledged discrepancy if its details have changed, other than the volatile ones. Returns it and the
    number of times that it was found, or None if nothing has changed."""
    occurrences: int | None = await _WITHDRAW.fetch_value(
        connection, discrepancy_id=row.id, **_compared(check, finding.details)
    )
    return None if occurrences is None else (Discrepancy(row.id, check.name, finding, row.first_seen), occurrences)


def _compared(check: Check, details: Mapping[str, Any]) -> dict[str, object]:
    return {"of_details": storable_json(details), "volatile": sorted(check.volatile)}


async def lock_open(connection: Connection, discrepancy_id: UUID) -> OpenDetails | None:
    """The details that the reconciler cannot change before the end of the transaction; None where the discrepancy is
    not open, or acknowledged already."""
    row = await _LOCK_OPEN.fetch_one(connection, discrepancy_id=discrepancy_id)
    return None if row is None else OpenDetails(row["details"], row["volatile_details"])


async def acknowledge(connection: Connection, discrepancy_id: UUID, reason: str, by: str) -> None:
    """After `lock_open`."""
    await _ACKNOWLEDGE.execute(connection, discrepancy_id=discrepancy_id, reason=reason, by=by)


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


async def count_acknowledged(connection: Connection, check: str) -> int:
    number: int = await _COUNT_ACKNOWLEDGED.fetch_value(connection, check_name=check)
    return number


async def count_reported(connection: Connection) -> dict[str, int]:
    """The number of discrepancies that are open and not acknowledged, by check."""
    return {row["check"]: row["rows"] for row in await _COUNT_REPORTED.fetch_all(connection)}
