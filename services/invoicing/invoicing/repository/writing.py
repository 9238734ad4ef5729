"""Accepting invoices under the lock of their numbering series, and changing one under its own (ADR 0013)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.audit.chain import ChainHead
from common.audit.entries import AuditEntry, entry_parameters, insert_entry
from common.database.statements import Connection, prepare, prepare_together
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from sqlalchemy import ARRAY, DateTime, Integer, Uuid, any_, bindparam, case, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from invoicing.domain import SERIES, Invoice, NewYear, Snapshot
from invoicing.repository.rows import CHANGING, FOR_EVER, all_values, changing_values, to_invoice
from invoicing.tables import invoice_snapshots, invoices, number_series


@dataclass(frozen=True, slots=True)
class LockedSeries:
    """The numbering series of a year of the seller's; nobody else can number from it. `at`, an instant, never goes
    back from number to number."""

    seller: str
    year: int
    last_position: int
    at: datetime


@dataclass(frozen=True, slots=True)
class NewInvoice:
    invoice: Invoice
    snapshot: Snapshot
    audit_entry: AuditEntry


@dataclass(frozen=True, slots=True)
class LockedInvoice:
    """An invoice that nobody else can change until the transaction ends, and the database's time."""

    invoice: Invoice
    now: datetime
    audit_head: ChainHead


# The parameters of the audit row, whose position and hash are the chain's new head.
_AUDIT_HEAD = ("audit_position", "audit_hash")
# The database's clock decides on which side of the new year it is. When the new year begins is told to it, so that
# nobody but Python reads the name of a time zone.
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
_ADD = prepare_together(
    insert(invoices).values({name: bindparam(name) for name in (*FOR_EVER, "seller", *CHANGING, *_AUDIT_HEAD)}),
    insert(invoice_snapshots).values(invoice_id=bindparam("id", type_=Uuid), snapshot=bindparam("snapshot")),
    *insert_entry(),
)
_THE_INVOICE = invoices.c.id == bindparam("invoice_id", type_=Uuid)
# Not now(), which is the transaction's beginning: whoever waited for the lock would write a time before the winner's.
_LOCK = prepare(select(invoices, func.clock_timestamp().label("now")).where(_THE_INVOICE).with_for_update())
_changed = update(invoices).where(_THE_INVOICE).values({name: bindparam(name) for name in (*CHANGING, *_AUDIT_HEAD)})
_saved = (_changed, *insert_entry())
_SAVE = prepare_together(*_saved)
_SAVE_AND_TELL = prepare_together(*_saved, outbox.insert_next_event())


async def lock_series(connection: Connection, seller: str, new_year: NewYear) -> LockedSeries:
    """This year's series, until the transaction ends; it begins with the year's first invoice.

    `new_year` is the one nearest to now, past or future; a clock that is off by weeks still finds it.
    """
    row = await _LOCK_SERIES.fetch_one(
        connection, seller=seller, new_year=new_year.begins, year_that_begins=new_year.year
    )
    if row is None:
        raise LookupError(f"no numbering series of {seller}")
    return LockedSeries(seller, row["year"], row["last_position"], row["last_at"])


async def find_invoiced(connection: Connection, order_ids: Sequence[UUID]) -> set[UUID]:
    """Which of the orders have an invoice; while the series is locked no other can get one."""
    return {row["order_id"] for row in await _FIND_INVOICED.fetch_all(connection, order_ids=order_ids)}


async def add(connection: Connection, series: LockedSeries, new: Sequence[NewInvoice]) -> None:
    """Write the invoices that took the numbers after `series.last_position`, in order, without a gap.

    Raises `UniqueViolationError` for an order that has an invoice already (one of another year's series).
    """
    last_position = series.last_position + len(new)
    await _ADVANCE_SERIES.execute(connection, of_seller=series.seller, of_year=series.year, last_position=last_position)
    await _ADD.execute_many(connection, [_new_row(series, each) for each in new])


def _new_row(series: LockedSeries, new: NewInvoice) -> dict[str, Any]:
    audit = entry_parameters(new.audit_entry, ChainHead())
    row = {"seller": series.seller, "snapshot": new.snapshot}
    return {**row, **all_values(new.invoice), **audit}


async def lock(connection: Connection, invoice_id: UUID) -> LockedInvoice:
    """Raises `LookupError` for an id that no invoice has."""
    row = await _LOCK.fetch_one(connection, invoice_id=invoice_id)
    if row is None:
        raise LookupError(f"no invoice {invoice_id}")
    return LockedInvoice(to_invoice(row), row["now"], ChainHead(row["audit_position"], row["audit_hash"]))


async def save(
    connection: Connection,
    locked: LockedInvoice,
    changed: Invoice,
    audit_entry: AuditEntry,
    event: NewEvent | None = None,
) -> None:
    """Write what became of a locked invoice, with its audit row and, if anybody is to be told, the event."""
    audit = entry_parameters(audit_entry, locked.audit_head)
    parameters = {"invoice_id": changed.id, **changing_values(changed), **audit}
    if event is None:
        await _SAVE.execute(connection, **parameters)
    else:
        await _SAVE_AND_TELL.execute(connection, **parameters, **outbox.event_parameters(event))
