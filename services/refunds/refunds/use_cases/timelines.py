"""What belongs to an order on its timeline: its refunds with their calls, disputes, and whether the gateway answers."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from common.database.statements import Connection, Record
from common.operators.timeline import TimelineSubject

from refunds.domain.refund import LastAnswer
from refunds.repository import timelines
from refunds.tables import ENTITY
from refunds.use_cases.jobs import FAILED, MAIL_JOB, REFUND_JOB, REVERSED, SETTLED, SUCCEEDED, mail_key

_MAILED = (SUCCEEDED, SETTLED, REVERSED, FAILED)
_FAILURES = (LastAnswer.UNAVAILABLE, LastAnswer.LOST)
# As many failures in a row open the breaker of a worker.
_IN_A_ROW = 3


async def timeline_subject(connection: Connection, order_id: UUID) -> TimelineSubject:
    refunds = await timelines.find_refunds(connection, order_id)
    payments = await timelines.find_payments(connection, order_id)
    ids = [refund["id"] for refund in refunds]
    calls = await timelines.find_calls(connection, ids) if ids else []
    references = {row["payment_reference"] for row in refunds} | {row["reference"] for row in payments}
    disputes = await timelines.find_disputes(connection, sorted(references)) if references else []
    members = {
        "refunds": [
            {**refund, "calls": [_without_id(call) for call in calls if call["refund_id"] == refund["id"]]}
            for refund in refunds
        ],
        "payments": [dict(row) for row in payments],
        "disputes": [dict(row) for row in disputes],
        "disagreements": [dict(row) for row in await timelines.find_disagreements(connection, order_id)],
        "gateway": _gateway(await timelines.find_last_answers(connection)),
    }
    jobs = [job for refund in refunds for job in _jobs(refund)]
    return TimelineSubject(entities=[(ENTITY, each) for each in ids], jobs=jobs, members=members)


def _without_id(call: Record) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "refund_id"}


def _jobs(refund: Record) -> Iterable[tuple[str, str]]:
    """Of the e-mails about other outcomes, those about the current transaction."""
    key = refund["business_key"]
    yield REFUND_JOB, key
    for outcome in _MAILED:
        yield MAIL_JOB, mail_key(key, outcome, refund["transaction_id"])


def _gateway(answers: list[Record]) -> dict[str, Any]:
    """Whether the payment gateway answers, by the latest calls of all workers; it counts as failing as the breaker of
    a worker does, after several failures in a row."""
    failures = []
    for answer in answers:
        if answer["outcome"] not in _FAILURES:
            break
        failures.append(answer)
    is_failing = len(failures) >= _IN_A_ROW
    return {
        "is_failing": is_failing,
        "failing_since": failures[-1]["ended_at"] if is_failing else None,
        "error": failures[0]["answer"] if is_failing else None,
    }
