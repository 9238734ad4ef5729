"""How a job of refunds is identified in its dead letter and in the logs."""

from uuid import UUID

from common.jobs.handler import Subject
from common.jobs.job import Job

from refunds.domain.refund import Refund


def refund_id(job: Job) -> UUID:
    return UUID(job.payload["refund_id"])


def subject(refund: Refund) -> Subject:
    order_id = str(refund.request.order_id)
    return Subject(
        order_id, {"refund_id": str(refund.id), "order_id": order_id, "transaction_id": refund.transaction_id}
    )
