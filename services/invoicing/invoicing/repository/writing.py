"""Changing invoices: add many under the lock of their numbering series, lock and save one (ADR 13)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.aggregates.changes import New, Write
from common.aggregates.store import AggregateStore
from common.database.statements import Connection, prepare
from sqlalchemy import ARRAY, DateTime, Integer, Uuid, any_, bindparam, case, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from invoicing.domain.invoice import Invoice
from invoicing.domain.numbering import SERIES, NewYear
from invoicing.domain.snapshot import Snapshot
from invoicing.repository.rows import INVOICES
from invoicing.tables import invoice_snapshots, invoices, number_series


@dataclass(frozen=True, slots=True)
class LockedSeries:
    """The numbering series of one year of the seller, in which only this transaction can take numbers. `at` never goes
    back from one number to the next."""

    seller: str
    year: int
    last_position: int
    at: datetime


# The database's clock decides whether the new year has begun. The instant of the new year is a parameter, so that only
# Python interprets the name of a time zone.
_new_year = bindparam("new_year", type_=DateTime(timezone=True))
_year_that_begins = bindparam("year_that_begins", type_=Integer)
_series = upsert(number_series).values(
    seller=bindparam("seller"),
    kind=SERIES,
    year=case((func.now() >= _new_year, _year_that_begins), else_=_year_that_begins - 1),
    last_position=0,
    last_at=func.now(),
)
_LOCK_SERIES = prepare(
    _series.on_conflict_do_update(
        index_elements=list(number_series.primary_key),
        set_={"last_at": func.greatest(number_series.c.last_at, _series.excluded.last_at)},
    ).returning(number_series.c.year, number_series.c.last_position, number_series.c.last_at)
)
_ADVANCE_SERIES = prepare(
    update(number_series)
    .where(
        number_series.c.seller == bindparam("of_seller"),
        number_series.c.kind == SERIES,
        number_series.c.year == bindparam("of_year"),
    )
    .values(last_position=bindparam("last_position"))
)
_FIND_INVOICED = prepare(
    select(invoices.c.order_id).where(invoices.c.order_id == any_(bindparam("order_ids", type_=ARRAY(Uuid))))
)
_STORE = AggregateStore(INVOICES)
_SNAPSHOT = insert(invoice_snapshots).values(invoice_id=INVOICES.the_id, snapshot=bindparam("snapshot"))

lock = _STORE.lock_existing
save = _STORE.save


def new_snapshot(snapshot: Snapshot) -> Write:
    return Write(_SNAPSHOT, {"snapshot": snapshot})


async def lock_series(connection: Connection, seller: str, new_year: NewYear) -> LockedSeries:
    """The series of the current year, locked until the transaction ends; the year's first invoice creates it.

    `new_year` is the one nearest to now, past or future; a clock that is wrong by weeks still finds it.
    """
    [row] = await _LOCK_SERIES.fetch_all(
        connection, seller=seller, new_year=new_year.begins, year_that_begins=new_year.year
    )
    return LockedSeries(seller, row["year"], row["last_position"], row["last_at"])


async def find_invoiced(connection: Connection, order_ids: Sequence[UUID]) -> set[UUID]:
    """The orders that have an invoice; no other can get one while the series is locked."""
    return {row["order_id"] for row in await _FIND_INVOICED.fetch_all(connection, order_ids=order_ids)}


async def add(connection: Connection, series: LockedSeries, new: Sequence[New[Invoice]]) -> None:
    """Store the invoices that have the numbers after `series.last_position`, in order, without a gap.

    Raises `UniqueViolationError` for an order that has an invoice already (one in the series of another year).
    """
    last_position = series.last_position + len(new)
    await _ADVANCE_SERIES.execute(connection, of_seller=series.seller, of_year=series.year, last_position=last_position)
    await _STORE.add_many(connection, new)
