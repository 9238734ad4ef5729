"""Reading returns: one, a page of many, counts by status."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.aggregates.paged_list import PagedList
from common.database.statements import Connection, prepare
from sqlalchemy import Text, Uuid, bindparam, cast, func, select

from returns.domain.return_ import ReturnStatus
from returns.repository.rows import RETURNS
from returns.tables import returns


@dataclass(frozen=True, slots=True)
class ReturnFilter:
    """Conditions on listed returns; None is no condition. Both ends of the time of creation are included."""

    customer_id: UUID | None = None
    order_id: UUID | None = None
    status: ReturnStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


find = RETURNS.find
is_visible = RETURNS.is_visible
# A return may have metadata of 100 kB: a page ends before it has more than 2 MB of it (ADR 21).
METADATA_PER_PAGE = 2_000_000
_metadata_bytes = func.coalesce(func.octet_length(cast(returns.c.metadata, Text)), 0)
find_page = PagedList(RETURNS, ReturnFilter, size=_metadata_bytes, page_size=METADATA_PER_PAGE).find_page
_BY_EXTERNAL_ID = prepare(
    select(returns.c.id).where(
        returns.c.external_id == bindparam("external_id", type_=Text),
        returns.c.external_id_owner == bindparam("owner", type_=Uuid),
    )
)


async def find_by_external_id(connection: Connection, external_id: str, owner: UUID) -> UUID | None:
    """The id of the owner's return."""
    return_id: UUID | None = await _BY_EXTERNAL_ID.fetch_value(connection, external_id=external_id, owner=owner)
    return return_id
