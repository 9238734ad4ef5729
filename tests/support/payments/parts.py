"""Parts of a payment that were refunded by hand or by operators, and the settlement of the rest."""

from decimal import Decimal
from uuid import uuid4

from common.database.transactions import Pool, transaction
from refunds.domain.refund import Refund
from refunds.domain.request import Cause, operator_key
from refunds.payment_gateway.port import GatewayRefund
from refunds.use_cases import settlement
from refunds.use_cases.jobs import MAIL_JOB
from refunds.worker.refund_job import RefundJob
from support.example.refunds import EVENT, job_in_state, open_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.provider_events import at_provider, running

WHOLE = Decimal(100)


def a_part(refund: Refund, name: str, amount: int) -> GatewayRefund:
    """Made in the provider's dashboard."""
    return at_provider(refund, id=f"re_{name}", reference=None, amount=Decimal(amount))


async def operators_refund(pool: Pool, payment: Refund, amount: int) -> Refund:
    """Of a part of the payment of another refund; nothing is reserved yet."""
    same = {"order_id": payment.request.order_id, "payment_reference": payment.request.payment_reference}
    key = operator_key(uuid4())
    return await open_refund(
        pool, **same, cause=Cause.OPERATOR, return_id=None, business_key=key, amount=Decimal(amount)
    )


async def paid_by_an_operator(pool: Pool, payment: Refund, amount: int, gateway: FakePaymentGateway) -> Refund:
    """A part that an operator has refunded by the provider."""
    refund = await operators_refund(pool, payment, amount)
    async with running(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "done")
    return refund


async def settled(pool: Pool, refund: Refund, reference: str) -> None:
    """Let an operator settle the refund with this reference. Raises what `settle_refund` raises."""
    async with transaction(pool) as connection:
        await settlement.settle_refund(connection, refund.id, reference, "paid in another way", EVENT)


async def told_amounts(pool: Pool, refund: Refund, outcome: str) -> list[str | None]:
    """Of the e-mails with this outcome, oldest first; None for the whole refund."""
    query = (
        "SELECT payload ->> 'amount' AS amount FROM jobs"
        " WHERE kind = $1 AND payload ->> 'refund_id' = $2 AND payload ->> 'outcome' = $3 ORDER BY created_at"
    )
    return [row["amount"] for row in await pool.fetch(query, MAIL_JOB, str(refund.id), outcome)]


async def events_of(pool: Pool, refund: Refund) -> list[str]:
    """The types of those that were published about it, in sequence."""
    query = "SELECT type FROM outbox WHERE aggregateid = $1 ORDER BY position"
    return [row["type"] for row in await pool.fetch(query, str(refund.id))]
