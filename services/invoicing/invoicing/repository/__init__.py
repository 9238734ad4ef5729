"""Invoices in PostgreSQL: numbered under the series' lock, changed under their own."""

from invoicing.repository.reading import count_by_status, find, find_of_order, find_page, find_snapshot
from invoicing.repository.writing import (
    LockedInvoice,
    LockedSeries,
    NewInvoice,
    add,
    find_invoiced,
    lock,
    lock_series,
    save,
)

__all__ = [
    "LockedInvoice",
    "LockedSeries",
    "NewInvoice",
    "add",
    "count_by_status",
    "find",
    "find_invoiced",
    "find_of_order",
    "find_page",
    "find_snapshot",
    "lock",
    "lock_series",
    "save",
]
