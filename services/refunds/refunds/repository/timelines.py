"""Reading what refunds shows of one order on its timeline (ADR 42)."""

from collections.abc import Sequence
from uuid import UUID

from common.database.statements import Connection, Record, array_rows, prepare
from sqlalchemy import ARRAY, Text, Uuid, any_, bindparam, literal_column, select, true

from refunds.tables import (
    book_disagreements,
    book_payments,
    payment_disputes,
    refund_call_answers,
    refund_calls,
    refunds,
)

# Look-ups can be repeated without end.
MOST_CALLS = 100
# So many calls of any refunds tell whether the gateway answers.
LAST_ANSWERS = 5

_order_id = bindparam("order_id", type_=Uuid)
_REFUNDS = prepare(
    select(
        *(refunds.c.id, refunds.c.business_key, refunds.c.cause, refunds.c.return_id, refunds.c.amount),
        *(refunds.c.currency, refunds.c.payment_reference, refunds.c.customer_email, refunds.c.status),
        *(refunds.c.transaction_id, refunds.c.error, refunds.c.attempts, refunds.c.created_at),
        *(refunds.c.completed_at, refunds.c.called_at, refunds.c.last_answer, refunds.c.settled_by_hand),
        refunds.c.unreached_since,
    )
    .where(refunds.c.order_id == _order_id)
    .order_by(refunds.c.created_at)
    .limit(100)
)
_chosen = array_rows("chosen", id=Uuid)
_latest_calls = (
    select(refund_calls)
    .where(refund_calls.c.refund_id == _chosen.c.id)
    .order_by(refund_calls.c.position.desc())
    .limit(literal_column(str(MOST_CALLS)))
    .lateral("latest")
)
_CALLS = prepare(
    select(
        *(_latest_calls.c.refund_id, _latest_calls.c.kind, _latest_calls.c.attempt, _latest_calls.c.started_at),
        *(refund_call_answers.c.ended_at, refund_call_answers.c.outcome, refund_call_answers.c.answer),
    )
    .select_from(_chosen.join(_latest_calls, true()))
    .outerjoin(refund_call_answers, refund_call_answers.c.call_position == _latest_calls.c.position)
    .order_by(_latest_calls.c.position)
)
_references = bindparam("references", type_=ARRAY(Text))
_DISPUTES = prepare(
    select(
        *(payment_disputes.c.dispute_id, payment_disputes.c.payment_reference, payment_disputes.c.amount),
        *(payment_disputes.c.currency, payment_disputes.c.status, payment_disputes.c.reason),
        payment_disputes.c.changed_at,
    )
    .where(payment_disputes.c.payment_reference == any_(_references))
    .order_by(payment_disputes.c.changed_at)
    .limit(100)
)
_PAYMENTS = prepare(
    select(
        *(book_payments.c.reference, book_payments.c.kind, book_payments.c.currency, book_payments.c.captured),
        book_payments.c.excess,
    ).where(book_payments.c.order_id == _order_id)
)
_DISAGREEMENTS = prepare(
    select(
        *(book_disagreements.c.reference, book_disagreements.c.kind, book_disagreements.c.booked),
        *(book_disagreements.c.reported, book_disagreements.c.created_at),
    )
    .where(book_disagreements.c.order_id == _order_id)
    .order_by(book_disagreements.c.created_at)
    .limit(100)
)
_LAST_ANSWERS = prepare(
    select(refund_call_answers.c.outcome, refund_call_answers.c.answer, refund_call_answers.c.ended_at)
    .order_by(refund_call_answers.c.call_position.desc())
    .limit(LAST_ANSWERS)
)


async def find_refunds(connection: Connection, order_id: UUID) -> list[Record]:
    """Oldest first, at most 100."""
    return await _REFUNDS.fetch_all(connection, order_id=order_id)


async def find_calls(connection: Connection, refund_ids: Sequence[UUID]) -> list[Record]:
    """The latest `MOST_CALLS` of each refund, oldest first. A call without an answer is under way, or was cut off."""
    return await _CALLS.fetch_all(connection, ids=refund_ids)


async def find_disputes(connection: Connection, references: Sequence[str]) -> list[Record]:
    return await _DISPUTES.fetch_all(connection, references=references)


async def find_payments(connection: Connection, order_id: UUID) -> list[Record]:
    """Those of the book."""
    return await _PAYMENTS.fetch_all(connection, order_id=order_id)


async def find_disagreements(connection: Connection, order_id: UUID) -> list[Record]:
    return await _DISAGREEMENTS.fetch_all(connection, order_id=order_id)


async def find_last_answers(connection: Connection) -> list[Record]:
    """The latest answers of the gateway, whatever refund they were about, newest first."""
    return await _LAST_ANSWERS.fetch_all(connection)
