"""Makes a refund at the payment gateway, once, whatever crashes or times out (ADR 0012)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog
from common import failpoints
from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.jobs.outside_work import once
from common.jobs.queue import Job, Schedule
from common.jobs.worker import JobHandler
from prometheus_client import Counter

from refunds.domain import Refund, Status
from refunds.repository import changes, queries
from refunds.use_cases.commands import record_failure, record_success, redirect_refund, reopen_refund
from refunds.use_cases.payment import Declined, GatewayFailure, PaymentGateway

RETRIES = Schedule((2, 4, 8, 16, 32))

_log = structlog.get_logger(__name__)
_refunds = Counter("refunds_total", "Refunds by how they ended; a failed one may succeed after a replay.", ["outcome"])


class RefundJob:
    def __init__(self, pool: Pool, gateway: PaymentGateway) -> None:
        self._pool = pool
        self._gateway = gateway

    @property
    def handler(self) -> JobHandler:
        return JobHandler(self.run, self.on_dead, RETRIES, concurrency=8)

    async def run(self, job: Job) -> None:
        """One attempt. Raises `GatewayFailure` when there is no refund at its end, or none that we know of."""
        made = await once(self._pool, job, lambda: self._refund(job))
        transaction_id: str = made["transaction_id"]
        async with transaction(self._pool) as connection:
            refund = await record_success(connection, job, _refund_id(job), transaction_id)
        _refunds.labels("succeeded").inc()
        _log.info("refunded", refund_id=str(refund.id), transaction_id=transaction_id, attempts=job.attempt)

    async def on_dead(self, connection: Connection, job: Job, error: str) -> None:
        refund = await record_failure(connection, job, _refund_id(job), error)
        _refunds.labels("failed").inc()
        _log.critical(
            "refund failed for good: money is owed until an operator replays the job",
            refund_id=str(refund.id),
            order_id=str(refund.claim.order_id),
            job_id=str(job.id),
            attempts=job.attempt,
            error=error,
        )

    async def _refund(self, job: Job) -> Mapping[str, Any]:
        transaction_id = await self._find_or_send(job)
        failpoints.hit("refund.after_call")
        return {"transaction_id": transaction_id}

    async def _find_or_send(self, job: Job) -> str:
        """Any attempt but the first begins by asking: an earlier call may have arrived although its answer did not."""
        async with reading(self._pool) as connection:
            refund = await queries.get(connection, _refund_id(job))
        if job.attempt > 1:
            found = await self._gateway.find(refund)
            if found is not None:
                _log.warning("adopted a refund that an earlier attempt made", refund_id=str(refund.id))
                return found
        if refund.status is Status.FAILED:
            async with transaction(self._pool) as connection:
                refund = await reopen_refund(connection, job, refund.id)
        elif job.attempt == 1 and refund.identified_reference is not None:
            refund = await self._redirect(job, refund)
        return await self._send(job, refund)

    async def _send(self, job: Job, refund: Refund) -> str:
        """A refusal is believed only when the gateway knows of no refund: it may be due to the refund being made.

        It may also be due to the payment's name: if its id was reported meanwhile, that is tried at once.
        """
        try:
            return await self._gateway.refund(refund)
        except GatewayFailure as failure:
            if failure.answer_is_kept:
                async with transaction(self._pool) as connection:
                    await changes.spend_key(connection, refund)
            if not isinstance(failure, Declined):
                raise
            found = await self._gateway.find(refund)
            if found is not None:
                return found
            redirected = await self._redirect(job, refund)
            if redirected.claim.payment_reference == refund.claim.payment_reference:
                raise
        return await self._send(job, redirected)

    async def _redirect(self, job: Job, refund: Refund) -> Refund:
        async with transaction(self._pool) as connection:
            return await redirect_refund(connection, job, refund.id)


def _refund_id(job: Job) -> UUID:
    return UUID(job.payload["refund_id"])
