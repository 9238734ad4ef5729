"""What belongs to an order on its timeline: its return, with the jobs of a late review (ADR 42)."""

from uuid import UUID

from common.database.statements import Connection, Record
from common.operators.timeline import TimelineSubject

from returns.domain.four_eyes import FourEyes
from returns.domain.review import ReviewPolicy, ReviewStep
from returns.repository import timelines
from returns.tables import ENTITY
from returns.use_cases.jobs import REVIEW_JOB


async def timeline_subject(
    four_eyes: FourEyes, policy: ReviewPolicy, connection: Connection, order_id: UUID
) -> TimelineSubject:
    """`order_copy` is null before the first event of the order was processed."""
    value, copy = await timelines.find_return(connection, order_id), await timelines.find_copy(connection, order_id)
    members = {
        "opened_return": None if value is None else _members(value, four_eyes, policy),
        "order_copy": None if copy is None else dict(copy),
    }
    if value is None:
        return TimelineSubject(members=members)
    jobs = [(REVIEW_JOB, f"{value['id']}:{step.lower()}") for step in ReviewStep]
    return TimelineSubject(entities=[(ENTITY, value["id"])], jobs=jobs, members=members)


def _members(row: Record, four_eyes: FourEyes, policy: ReviewPolicy) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != "approvals"} | {
        "approvals": len(row["approvals"] or ()),
        "approvals_needed": four_eyes.approvers(row["refund_amount"], row["currency"]),
        "review_until": row["created_at"] + policy.review_within,
    }
