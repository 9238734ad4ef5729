"""Read refunds."""

from uuid import UUID

from common.aggregates.paged_list import PagedList
from common.database.statements import Connection, prepare
from sqlalchemy import Uuid, bindparam, select

from refunds.domain import Refund
from refunds.repository.rows import REFUNDS, refund_columns, to_refund
from refunds.tables import refunds

_FIND = prepare(select(*refund_columns).where(refunds.c.id == bindparam("refund_id", type_=Uuid)))
_FILTERS = {name: refunds.c[name] == bindparam(name) for name in ("order_id", "return_id", "status")}
_LIST = PagedList(REFUNDS, _FILTERS)


async def find(connection: Connection, refund_id: UUID) -> Refund | None:
    row = await _FIND.fetch_one(connection, refund_id=refund_id)
    return None if row is None else to_refund(row)


async def get(connection: Connection, refund_id: UUID) -> Refund:
    """Raises `LookupError` when there is no such refund."""
    refund = await find(connection, refund_id)
    if refund is None:
        raise LookupError(f"no refund {refund_id}")
    return refund


find_page = _LIST.find_page
