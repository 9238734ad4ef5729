"""Refunds that operators request, of any payment of the book and in parts (ADR 38)."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID, uuid4

from common import money
from common.access.auth import Caller
from common.aggregates.changes import New
from common.database.statements import Connection
from common.errors import ErrorCode, Problem
from common.jobs import queue
from typing_extensions import TypedDict

from refunds.domain.book import Overdrawn
from refunds.domain.refund import Refund
from refunds.domain.request import Cause, RefundRequest, operator_key
from refunds.repository import payments, writing
from refunds.use_cases import booking
from refunds.use_cases.jobs import REFUND_JOB, new_job
from refunds.use_cases.queries import TriedRefund


class RefundNotAllowedDetails(TypedDict):
    """What may be refunded of the payment; it is less than what was requested."""

    refundable: float
    currency: str


REFUND_NOT_ALLOWED = ErrorCode("REFUND_NOT_ALLOWED", 409, RefundNotAllowedDetails)


@dataclass(frozen=True, slots=True)
class NewRefund:
    """What an operator requests; `amount` is in the currency of the payment."""

    order_id: UUID
    payment_reference: str
    amount: Decimal
    reason: str


async def request_refund(connection: Connection, caller: Caller, new: NewRefund) -> TriedRefund:
    """Reserve the amount, open the refund and enqueue its job. Raises `Problem` NOT_FOUND for a payment that the book
    does not have, VALIDATION_ERROR for decimals that the currency does not have, REFUND_NOT_ALLOWED where less is
    refundable."""
    payment = await payments.find(connection, new.order_id, new.payment_reference)
    if payment is None:
        raise Problem.not_found("payment", new.payment_reference)
    if not money.fits(new.amount, payment.currency):
        digits = money.minor_digits(payment.currency)
        raise Problem.invalid("amount", f"must have at most {digits} decimals in {payment.currency}")
    await booking.book_unbooked_refunds(connection, new.order_id, caller.actor)
    request = RefundRequest(
        business_key=operator_key(uuid4()),
        cause=Cause.OPERATOR,
        order_id=new.order_id,
        order_number=payment.order_number,
        return_id=None,
        amount=new.amount,
        currency=payment.currency,
        payment_reference=payment.reference,
        customer_email=payment.customer_email,
        customer_name=payment.customer_name,
    )
    refund = Refund(request.refund_id, request, created_at=await writing.clock(connection))
    details = {"reason": new.reason, "amount": new.amount, "currency": payment.currency}
    details |= {"payment_reference": payment.reference, "cause": request.cause.value}
    await writing.add(connection, [New(refund, caller.actor, details)])
    try:
        await booking.reserve_refund(connection, refund, caller.actor)
    except Overdrawn as overdrawn:
        left = {"refundable": overdrawn.refundable, "currency": payment.currency}
        raise Problem(REFUND_NOT_ALLOWED, f"{overdrawn}.", left) from None
    await queue.enqueue(connection, new_job(REFUND_JOB, refund, caller.actor))
    return TriedRefund(refund, [])
