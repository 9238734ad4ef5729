"""What belongs to an order on its timeline (ADR 42)."""

from uuid import UUID

from common.database.statements import Connection
from common.operators.timeline import TimelineSubject

from orders.repository import timelines
from orders.tables import ENTITY


async def timeline_subject(connection: Connection, order_id: UUID) -> TimelineSubject:
    """The own part of the timeline of orders. `order` is null where no order has this id."""
    order = await timelines.find_order(connection, order_id)
    if order is None:
        return TimelineSubject(members={"order": None, "payments": [], "invoice": None})
    invoice = await timelines.find_invoice(connection, order_id)
    payments = [dict(row) for row in await timelines.find_payments(connection, order_id)]
    members = {"order": dict(order), "payments": payments, "invoice": None if invoice is None else dict(invoice)}
    return TimelineSubject(entities=[(ENTITY, order_id)], members=members)
