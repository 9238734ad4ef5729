"""The states of refunds, which the service refunds publishes, at the payments that are refunded."""

from common.database.statements import Connection, prepare
from common.messaging.envelope import ReceivedEvent
from sqlalchemy import BigInteger, Integer, Text, Uuid, bindparam, exists, func, or_, select, tuple_, update

from orders.domain.order import Order
from orders.domain.payment import Payment
from orders.domain.states import RefundStatus
from orders.repository.rows import payment_columns, to_payment
from orders.tables import payments
from orders.views import RefundView

_ORDER_ID = bindparam("order_id", type_=Uuid)
_REFERENCE = bindparam("reference", type_=Text)
_SAVE = prepare(
    update(payments)
    .where(
        payments.c.order_id == _ORDER_ID,
        or_(payments.c.reference == _REFERENCE, payments.c.first_reference == _REFERENCE),
        tuple_(payments.c.refund_epoch, payments.c.refund_sequence)
        < tuple_(bindparam("epoch", type_=Integer), bindparam("sequence", type_=BigInteger)),
    )
    .values(
        refund_status=bindparam("status"),
        # The last known one: an event of a reversed refund need not repeat it.
        refund_transaction_id=func.coalesce(
            bindparam("transaction_id", type_=Text), payments.c.refund_transaction_id, type_=Text
        ),
        refund_epoch=bindparam("epoch"),
        refund_sequence=bindparam("sequence"),
    )
)
_IS_OF_A_PART = prepare(
    select(
        exists().where(
            payments.c.order_id == _ORDER_ID,
            or_(payments.c.reference == _REFERENCE, payments.c.first_reference == _REFERENCE),
            payments.c.amount > bindparam("amount", type_=payments.c.amount.type),
        )
    )
)
_PAYMENTS = prepare(
    select(*payment_columns)
    .where(payments.c.order_id == _ORDER_ID)
    .order_by(payments.c.refund_epoch, payments.c.refund_sequence)
)


async def save(connection: Connection, refund: RefundView, status: RefundStatus, event: ReceivedEvent) -> bool:
    """Store the state at its payment; False when this or a newer one is stored, or no such payment."""
    updated_rows = await _SAVE.execute(
        connection,
        order_id=refund.order_id,
        reference=refund.payment_reference,
        status=status,
        transaction_id=refund.transaction_id,
        epoch=event.epoch,
        sequence=event.sequence,
    )
    return updated_rows == 1


async def is_of_a_part(connection: Connection, refund: RefundView) -> bool:
    """Whether less than the payment is refunded, which only operators request."""
    is_of_a_part: bool = await _IS_OF_A_PART.fetch_value(
        connection, order_id=refund.order_id, reference=refund.payment_reference, amount=refund.amount
    )
    return is_of_a_part


async def find_payments(connection: Connection, order: Order) -> tuple[Payment, ...]:
    """All payments of one order, in the order in which the states of their refunds came."""
    rows = await _PAYMENTS.fetch_all(connection, order_id=order.id)
    return tuple(to_payment(row, order.currency) for row in rows)
