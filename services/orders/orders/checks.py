"""The checks of orders: an order that was shipped has an invoice, a payment that is owed back a result (ADR 40).

The services that make them report work without a job themselves. Here the limits are beyond their schedules of retries:
an order knows no result although nobody can still be working on it.
"""

from collections.abc import Iterable
from datetime import timedelta

from common.database.statements import Connection
from common.messaging.outgoing.repeating import publish_events_again
from common.reconciliation.check import Check, Finding, QueryCheck

from orders import events
from orders.domain.states import OrderStatus
from orders.repository import checks

_CAUSES_OF_REFUNDS = (events.OF_STATUS[OrderStatus.CANCELLED], *events.OF_UNEXPECTED_PAYMENT.values())


def order_checks(invoice_limit: timedelta, refund_limit: timedelta) -> Iterable[Check]:
    return [
        QueryCheck(checks.INVOICE_MISSING, checks.find_without_invoice, repair=_ship_again, limit=invoice_limit),
        QueryCheck(
            checks.REFUND_RESULT_MISSING,
            checks.find_without_refund_result,
            repair=_ask_for_refunds_again,
            limit=refund_limit,
        ),
    ]


async def _ship_again(connection: Connection, finding: Finding) -> None:
    """Invoicing opens the invoice if it never got the event; if it has issued it, it says so again because of the
    discrepancy."""
    await publish_events_again(
        connection, events.ORDERS_TOPIC, finding.details["order_id"], events.OF_STATUS[OrderStatus.SHIPPED]
    )


async def _ask_for_refunds_again(connection: Connection, finding: Finding) -> None:
    """As `_ship_again`, for the events that cause refunds."""
    await publish_events_again(connection, events.ORDERS_TOPIC, finding.details["order_id"], *_CAUSES_OF_REFUNDS)
