"""Reading refunds: one, or a page of many."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from common.aggregates.reader import AggregateReader
from sqlalchemy import ColumnElement, Text, Uuid, bindparam

from refunds.domain import RefundStatus
from refunds.repository.rows import REFUNDS
from refunds.tables import refunds


@dataclass(frozen=True, slots=True)
class RefundFilter:
    """Conditions on listed refunds; None is no condition."""

    order_id: UUID | None = None
    return_id: UUID | None = None
    status: RefundStatus | None = None


_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "order_id": refunds.c.order_id == bindparam("order_id", type_=Uuid),
    "return_id": refunds.c.return_id == bindparam("return_id", type_=Uuid),
    "status": refunds.c.status == bindparam("status", type_=Text),
}
_READER = AggregateReader(REFUNDS, _CONDITIONS)

find = _READER.find
get = _READER.get
find_page = _READER.find_page
