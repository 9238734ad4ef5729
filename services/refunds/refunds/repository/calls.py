"""The calls to the payment gateway: each is stored before it is made, and its answer is a row of its own (ADR 36).

The hash of a request is the SHA-256 of its lines: reference, idempotency key, payment, amount with four decimals,
currency.
"""

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from common.aggregates.changes import Write
from common.database.statements import Connection, Record, prepare
from common.jobs.job import Job
from sqlalchemy import Text, bindparam, insert, text

from refunds.domain.refund import Refund
from refunds.repository.rows import to_refund
from refunds.tables import refund_call_answers, refund_calls

REFUND, LOOK_UP = "REFUND", "LOOK_UP"

_CALL = prepare(
    insert(refund_calls)
    .values({name: bindparam(name) for name in ("refund_id", "kind", "attempt", "idempotency_key", "request_hash")})
    .returning(refund_calls.c.position)
)
_ANSWER = insert(refund_call_answers).values(
    call_position=bindparam("call_position"),
    outcome=bindparam("call_outcome"),
    answer=bindparam("call_answer", type_=Text),
)
_PREPARED_ANSWER = prepare(_ANSWER)
# The first call for a refund that nothing speaks against, in one statement: the lease is checked, the refund becomes
# CALLING, and the call is written. No row for any other refund.
_BEGIN_FIRST = prepare(
    text(
        """
        WITH held AS (
            SELECT id FROM jobs
            WHERE id = CAST(:job_id AS uuid) AND lease_token = CAST(:token AS bigint) AND state = 'running'
            FOR UPDATE
        ), calling AS (
            UPDATE refunds SET status = 'CALLING', called_at = clock_timestamp(), last_answer = NULL,
                attempts = attempts + 1
            WHERE id = CAST(:id AS uuid) AND status = 'READY' AND attempts = 0 AND key_epoch = 0
                AND EXISTS (SELECT FROM held)
                AND NOT EXISTS (
                    SELECT FROM identified_payments AS i
                    WHERE i.order_id = refunds.order_id AND i.first_reference = refunds.payment_reference
                )
                AND NOT EXISTS (
                    SELECT FROM payment_disputes AS d
                    WHERE d.payment_reference = refunds.payment_reference AND d.status <> 'WON'
                )
                AND NOT EXISTS (
                    SELECT FROM payment_disputes AS d
                    WHERE d.payment_alias = refunds.payment_reference AND d.status <> 'WON'
                )
                AND NOT EXISTS (
                    SELECT FROM gateway_refunds AS g
                    WHERE g.payment_reference = refunds.payment_reference AND g.status <> 'FAILED'
                )
                AND NOT EXISTS (
                    SELECT FROM gateway_refunds AS g
                    WHERE g.payment_alias = refunds.payment_reference AND g.status <> 'FAILED'
                )
            RETURNING *
        ), called AS (
            INSERT INTO refund_calls (refund_id, kind, attempt, idempotency_key, request_hash)
            SELECT id, 'REFUND', CAST(:attempt AS int), 'refund-' || id, sha256(convert_to(
                concat_ws(E'\\n', business_key, 'refund-' || id, payment_reference, amount, currency), 'UTF8'
            ))
            FROM calling
            RETURNING position
        ), counted AS (
            INSERT INTO refund_count_changes (status, change)
            SELECT change.status, change.number FROM calling, (VALUES ('READY', -1), ('CALLING', 1))
                AS change (status, number)
        )
        SELECT calling.*, NULL AS identified_reference, called.position FROM calling, called
        """
    )
)


def request_hash(refund: Refund) -> bytes:
    request = refund.request
    lines = (
        refund.reference,
        refund.idempotency_key,
        request.payment_reference,
        f"{request.amount:.4f}",
        request.currency,
    )
    return hashlib.sha256("\n".join(lines).encode()).digest()


async def begin_first(connection: Connection, job: Job, refund_id: UUID) -> tuple[Refund, int] | None:
    """Make the refund CALLING and write its first call; the call's position. None where anything speaks against it:
    the lease is lost, the refund is in another status or was called before, or its payment is disputed or was
    refunded by hand."""
    row: Record | None = await _BEGIN_FIRST.fetch_one(connection, **job.lease, id=refund_id, attempt=job.attempt)
    return None if row is None else (to_refund(row), row["position"])


async def insert_call(connection: Connection, refund: Refund, kind: str, attempt: int) -> int:
    """The position of the new call."""
    parameters: Mapping[str, Any] = {
        "refund_id": refund.id,
        "kind": kind,
        "attempt": attempt,
        "idempotency_key": refund.idempotency_key,
        "request_hash": request_hash(refund),
    }
    position: int = await _CALL.fetch_value(connection, **parameters)
    return position


def answer(position: int, outcome: str, text: str | None) -> Write:
    """The answer as a part of the change that it causes."""
    return Write(_ANSWER, {"call_position": position, "call_outcome": outcome, "call_answer": text})


async def insert_answer(connection: Connection, position: int, outcome: str, text: str | None) -> None:
    """An answer that changes nothing."""
    await _PREPARED_ANSWER.execute(connection, call_position=position, call_outcome=outcome, call_answer=text)
