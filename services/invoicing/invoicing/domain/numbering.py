"""Invoice numbers, and the calendar of the seller, which dates and years follow."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

SERIES = "INV"


@dataclass(frozen=True, slots=True)
class NewYear:
    """The instant (UTC) at which `year` begins for the seller."""

    year: int
    begins: datetime


@dataclass(frozen=True, slots=True)
class SellerCalendar:
    """Invoices are dated and numbered by it; all instants stay in UTC."""

    zone: tzinfo = UTC

    def day_of(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def nearest_new_year(self, moment: datetime) -> NewYear:
        """The new year at most half a year away, past or future."""
        local = moment.astimezone(self.zone)
        year = local.year + (local.month > 6)
        return NewYear(year, datetime(year, 1, 1, tzinfo=self.zone).astimezone(UTC))


UTC_CALENDAR = SellerCalendar()


def invoice_number(year: int, position: int, *, series: str = SERIES) -> str:
    """`INV-2026-000001`: positions count from 1 without gaps per seller, series and year."""
    if position < 1:
        raise ValueError(f"a series begins with 1, not with {position}")
    return f"{series}-{year}-{position:06d}"
