"""The job that makes a refund at the payment gateway, once, whatever crashes or times out (ADR 12)."""

import structlog
from common.database.statements import Connection
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job
from prometheus_client import Counter

from refunds.domain.refund import Refund, RefundStatus
from refunds.payment_gateway.port import (
    Declined,
    GatewayFailure,
    GatewayRefundStatus,
    GatewayUnavailable,
    PaymentGateway,
    RefundCall,
)
from refunds.repository import reading, writing
from refunds.use_cases.commands import record_failure, record_success, redirect_refund, reopen_refund
from refunds.use_cases.jobs import REFUND_JOB, refund_id, subject

_log = structlog.get_logger(__name__)


class RefundJob(JobHandler):
    kind = REFUND_JOB
    retry_delays = (2, 4, 8, 16, 32)
    concurrency = 8
    failpoint = "refund.after_call"
    counter = Counter(
        "refunds_total", "Refunds by how they ended; a failed one may succeed after a replay.", ["outcome"]
    )
    success_message = "refunded"
    failure_message = "refund failed permanently: money is owed until an operator replays the job"

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway

    async def work(self, job: Job) -> dict[str, object]:
        """Raises `GatewayFailure` when no refund was made, or none that we know of.

        Every attempt but the first begins with a look-up: an earlier call may have arrived although its answer did not.
        """
        async with job.reading() as connection:
            refund = await reading.get(connection, refund_id(job))
        if job.attempt > 1:
            transaction_id = await self._find(refund)
            if transaction_id is not None:
                _log.warning("adopted a refund that an earlier attempt made", refund_id=str(refund.id))
                return {"transaction_id": transaction_id}
        if refund.status is RefundStatus.FAILED:
            async with job.holding() as connection:
                refund = await reopen_refund(connection, refund.id, job.actor)
        elif job.attempt == 1 and refund.identified_reference is not None:
            refund = await _redirect(job, refund)
        return {"transaction_id": await self._send(job, refund)}

    async def on_success(self, connection: Connection, job: Job) -> Subject:
        transaction_id: str = job.result["transaction_id"]
        return subject(await record_success(connection, refund_id(job), transaction_id, job.attempt, job.actor))

    async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
        return subject(await record_failure(connection, refund_id(job), error, job.attempt, job.actor))

    async def _find(self, refund: Refund) -> str | None:
        found = await self._gateway.find(RefundCall.of(refund))
        return None if found is None or found.status is GatewayRefundStatus.FAILED else found.id

    async def _send(self, job: Job, refund: Refund) -> str:
        """A decline is believed only when the gateway has no such refund: the reason may be that the refund exists.

        The reason may also be the payment's reference: if its id was reported meanwhile, that is sent at once.
        """
        if refund.key_spent:
            # The gateway may have forgotten the key since: then this call can make the refund.
            await _mark_key(job, refund, spent=False)
        try:
            return (await self._gateway.refund(RefundCall.of(refund))).id
        except GatewayFailure as failure:
            if failure.answer_is_kept or (refund.key_spent and isinstance(failure, GatewayUnavailable)):
                await _mark_key(job, refund, spent=True)
            if not isinstance(failure, Declined):
                raise
            transaction_id = await self._find(refund)
            if transaction_id is not None:
                return transaction_id
            redirected = await _redirect(job, refund)
            if redirected.request.payment_reference == refund.request.payment_reference:
                raise
        return await self._send(job, redirected)


async def _mark_key(job: Job, refund: Refund, *, spent: bool) -> None:
    """Without the lease: it is a fact about the key, even when another worker has the job."""
    async with job.transaction() as connection:
        await writing.mark_key(connection, refund, spent=spent)


async def _redirect(job: Job, refund: Refund) -> Refund:
    async with job.holding() as connection:
        return await redirect_refund(connection, refund.id, job.actor)
