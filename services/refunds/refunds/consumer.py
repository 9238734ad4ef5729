"""The handlers of consumed events: payments are booked, and a refund is opened for what a customer is owed."""

from collections.abc import Sequence
from uuid import UUID

from common.database.statements import Connection
from common.messaging.incoming.records import EventHandler, Handlers, Incoming
from common.reconciliation.reports import DISCREPANCY, DiscrepancyView

from refunds.use_cases.booking import record_captures
from refunds.use_cases.opening import identify_payment, open_refunds
from refunds.use_cases.results import publish_results_again
from refunds.views import (
    OrderCancelledView,
    OrderPaidLateView,
    OrderPaidTwiceView,
    OrderPaidView,
    OrderPaymentIdentifiedView,
    OrderPaymentMismatchedView,
    PaymentView,
    RefundOwedView,
    ReturnCompletedView,
)


async def on_payment(connection: Connection, events: Sequence[Incoming[PaymentView]]) -> None:
    await record_captures(connection, [(incoming.data.capture(), incoming.event.new_actor()) for incoming in events])


async def on_refund_owed(connection: Connection, events: Sequence[Incoming[RefundOwedView]]) -> None:
    requests = [(incoming.data.refund_request(), incoming.event.new_actor()) for incoming in events]
    await open_refunds(connection, [(request, actor) for request, actor in requests if request is not None])


async def on_payment_identified(connection: Connection, events: Sequence[Incoming[OrderPaymentIdentifiedView]]) -> None:
    for incoming in events:
        payment = incoming.data.identified_payment
        await identify_payment(connection, incoming.data.order_id, payment.first_reference, payment.reference)


async def on_discrepancy(connection: Connection, events: Sequence[Incoming[DiscrepancyView]]) -> None:
    for incoming in events:
        details = incoming.data.details
        if incoming.data.check == "refund_result_missing":
            return_id = details.get("return_id")
            await publish_results_again(
                connection,
                UUID(details["order_id"]),
                incoming.event.new_actor(),
                return_id=None if return_id is None else UUID(return_id),
                reference=details.get("payment_reference"),
            )


EVENT_HANDLERS: Handlers = {
    DISCREPANCY: EventHandler(DiscrepancyView, on_discrepancy),
    "order.paid": EventHandler(OrderPaidView, on_payment),
    "order.mismatched_payment": EventHandler(OrderPaymentMismatchedView, on_payment),
    "return.completed": EventHandler(ReturnCompletedView, on_refund_owed),
    "order.cancelled": EventHandler(OrderCancelledView, on_refund_owed),
    "order.late_payment": EventHandler(OrderPaidLateView, on_refund_owed),
    "order.surplus_payment": EventHandler(OrderPaidTwiceView, on_refund_owed),
    "order.payment_identified": EventHandler(OrderPaymentIdentifiedView, on_payment_identified),
}
