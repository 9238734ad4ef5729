"""Statements of the checks: refunds without a job, and refunds by what they are of (ADR 40)."""

from uuid import UUID

from common.database.statements import Connection, prepare
from common.database.tables import jobs
from sqlalchemy import Integer, Interval, Text, Uuid, bindparam, cast, exists, func, literal, or_, select

from refunds.domain.refund import Refund, RefundStatus
from refunds.repository.rows import identified_reference, to_refund
from refunds.tables import refunds

REFUND_WITHOUT_JOB = "refund_without_job"
# Of these, nothing is left to do.
ENDED = ("SUCCEEDED", "DECLINED", "FAILED", "REVERSED")

_is_not_ended = refunds.c.status.not_in([literal(each, literal_execute=True) for each in ENDED])
# A dead job is known to the operators.
_has_job = exists().where(
    jobs.c.kind == bindparam("kind", type_=Text),
    jobs.c.business_key == refunds.c.business_key,
    jobs.c.state != literal("done", literal_execute=True),
)
_subject = (
    cast(refunds.c.id, Text).label("subject"),
    cast(refunds.c.order_id, Text).label("key"),
    refunds.c.id.label("refund_id"),
    refunds.c.status,
    refunds.c.business_key,
    refunds.c.amount,
    refunds.c.currency,
)
find_without_job = prepare(
    select(*_subject)
    .where(
        # As in the partial index.
        refunds.c.status != literal(RefundStatus.SUCCEEDED.value, literal_execute=True),
        _is_not_ended,
        refunds.c.created_at < func.now() - bindparam("limit", type_=Interval),
        ~_has_job,
    )
    .order_by(refunds.c.created_at)
    .limit(bindparam("most", type_=Integer))
)
_return_id = bindparam("return_id", type_=Uuid)
_reference = bindparam("reference", type_=Text)
_OF_PAYMENT_OR_RETURN = prepare(
    select(*refunds.c, identified_reference).where(
        refunds.c.order_id == bindparam("order_id", type_=Uuid),
        or_(
            refunds.c.return_id == _return_id,
            refunds.c.payment_reference == _reference,
            identified_reference == _reference,
        ),
    )
)


async def find_of(
    connection: Connection, order_id: UUID, *, return_id: UUID | None = None, reference: str | None = None
) -> list[Refund]:
    """The refunds of an order's return, or of one of its payments."""
    rows = await _OF_PAYMENT_OR_RETURN.fetch_all(
        connection, order_id=order_id, return_id=return_id, reference=reference
    )
    return [to_refund(row) for row in rows]
