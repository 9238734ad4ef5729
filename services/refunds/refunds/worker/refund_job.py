"""The job that makes a refund at the payment gateway, once, whatever crashes or times out (ADR 12, ADR 36)."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from common.database.statements import Connection
from common.database.transactions import is_contention
from common.errors import PermanentFailure
from common.jobs import queue
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job, Postponed
from common.text.storable import describe_error, storable
from prometheus_client import Counter

from refunds.domain.book import Overdrawn
from refunds.domain.pauses import (
    FIRST_PAUSE,
    FIRST_PENDING_PAUSE,
    HELD_PAUSE,
    is_of_an_earlier_call,
    outage_pause,
    pending_pause,
    uncertain_for,
    unknown_pause,
)
from refunds.domain.refund import LastAnswer, Refund, RefundStatus
from refunds.payment_gateway.breaker import Breaker
from refunds.payment_gateway.port import (
    Declined,
    GatewayFailure,
    GatewayRefund,
    GatewayRefundStatus,
    GatewayUnavailable,
    OutcomeUnknown,
    PaymentGateway,
    RefundCall,
)
from refunds.repository import calls, provider, reading, writing
from refunds.use_cases import answers
from refunds.use_cases.calling import Calling, begin_call, begin_first_call, require_refund_by_hand
from refunds.use_cases.jobs import REFUND_JOB, refund_id, subject

_log = structlog.get_logger(__name__)

Result = Mapping[str, object]

NOTHING_TO_DO: Result = {}


class RefundJob(JobHandler):
    kind = REFUND_JOB
    retry_delays = (2, 4, 8, 16, 32)
    concurrency = 8
    finds_earlier_work = True
    failpoint = "refund.after_call"
    counter = Counter(
        "refunds_total", "Refunds by how they ended; a failed one may succeed after a replay.", ["outcome"]
    )
    success_message = "refunded"
    failure_message = "refund failed permanently: money is owed until an operator replays the job"

    def __init__(
        self, gateway: PaymentGateway, *, call_seconds: float = 8, concurrency: int = 8, breaker: Breaker | None = None
    ) -> None:
        """`call_seconds` is the longest time of a call; `concurrency` the most calls at the same time."""
        self._gateway = gateway
        self._longest_call = timedelta(seconds=call_seconds)
        self.concurrency = concurrency
        self._breaker = breaker or Breaker(gateway.name)

    def places(self) -> int:
        return self._breaker.places(self.concurrency)

    async def work(self, job: Job) -> Result:
        """Raises `GatewayFailure` when an attempt has failed, `Postponed` while that is unknown or nobody answers.

        Whatever the database interrupts, the next attempt begins with a look-up if a call may have been made.
        """
        identifier = refund_id(job)
        wait = self._breaker.seconds_to_wait(identifier)
        if wait is not None:
            raise Postponed("the payment gateway does not answer", timedelta(seconds=wait))
        try:
            async with job.transaction() as connection:
                calling = await begin_first_call(connection, job, identifier)
            return await (self._continue(job) if calling is None else self._call(job, calling))
        except Overdrawn as overdrawn:
            async with job.holding() as connection:
                await answers.release(connection, identifier, job.actor)
            raise PermanentFailure(str(overdrawn)) from overdrawn
        except Exception as error:
            if is_contention(error):
                raise Postponed(describe_error(error), FIRST_PAUSE) from error
            raise
        finally:
            self._breaker.abandon(identifier)

    async def on_success(self, connection: Connection, job: Job) -> Subject | None:
        if not job.result:
            return None
        transaction_id, position = job.result["transaction_id"], job.result["call"]
        refund = await answers.record_success(connection, refund_id(job), transaction_id, position, job.actor)
        return None if refund is None else subject(refund)

    async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
        return subject(await answers.record_failure(connection, refund_id(job), error, job.actor))

    async def _continue(self, job: Job) -> Result:
        """Every step but a first call."""
        async with job.holding() as connection:
            refund = await reading.get(connection, refund_id(job))
            now = await writing.clock(connection)
        if refund.status in {RefundStatus.SUCCEEDED, RefundStatus.REVERSED}:
            return NOTHING_TO_DO
        if refund.status is RefundStatus.PENDING and refund.transaction_id is not None:
            return await self._follow(job, refund, refund.transaction_id, now)
        is_certain = refund.status is RefundStatus.READY and refund.last_answer is not LastAnswer.LOST
        return await (self._send(job) if is_certain else self._look_up(job, refund, now))

    async def _look_up(self, job: Job, refund: Refund, now: datetime) -> Result:
        async with job.holding() as connection:
            position = await calls.insert_call(connection, refund, calls.LOOK_UP, job.attempt)
        try:
            found = await self._gateway.find(RefundCall.of(refund))
        except GatewayFailure as failure:
            self._breaker.failed(refund.id, failure.retry_after, is_outage=failure.is_outage)
            await _answer(job, position, LastAnswer.LOST, describe_error(failure))
            raise Postponed(f"not looked up: {describe_error(failure)}", unknown_pause(refund, now)) from failure
        await self._answered(job)
        if found is not None and not self._is_history(refund, found):
            return await self._adopt(job, refund, found, position)
        uncertain = uncertain_for(refund, now, longest_call=self._longest_call, lookup_lag=self._gateway.lookup_lag)
        if uncertain > timedelta(0):
            await _answer(job, position, "ABSENT", "too early to be certain")
            raise Postponed("no such refund yet", max(uncertain, FIRST_PAUSE))
        await _answer(job, position, "ABSENT", None)
        return await self._after_absence(job, refund)

    def _is_history(self, refund: Refund, found: GatewayRefund) -> bool:
        """Whether it is an earlier refund that failed, and says nothing about the latest call."""
        is_open = refund.status in {RefundStatus.CALLING, RefundStatus.UNKNOWN}
        return found.status is GatewayRefundStatus.FAILED and (
            not is_open or is_of_an_earlier_call(refund, found.created_at, self._longest_call)
        )

    async def _after_absence(self, job: Job, refund: Refund) -> Result:
        """The last call made no refund. Where the gateway had answered with an error, the attempt has failed, and is
        repeated by the schedule; where it gave no answer, it is called again after a pause."""
        if refund.status is RefundStatus.UNKNOWN:
            if refund.last_answer is LastAnswer.DECLINED and refund.identified_reference is None:
                await require_refund_by_hand(job, refund)
            if refund.last_answer is LastAnswer.LOST:
                async with job.holding() as connection:
                    await answers.record_absence(connection, refund.id, job.actor)
                error = f"{refund.error}; a look-up shows that nothing was made"
                if refund.unreached_since is not None:
                    raise Postponed(error, outage_pause(refund))
                raise GatewayFailure(error)
        return await self._send(job)

    async def _adopt(self, job: Job, refund: Refund, found: GatewayRefund, position: int) -> Result:
        if not answers.is_whole(refund, found):
            async with job.holding() as connection:
                await answers.record_mismatch(connection, refund.id, found, job.actor)
            raise Postponed("the provider's refund has another amount", HELD_PAUSE)
        if found.status is GatewayRefundStatus.FAILED:
            async with job.holding() as connection:
                await provider.merge_refund(connection, found)
                await answers.record_decline(connection, refund.id, found.failure, position, job.actor)
            raise Declined(found.failure)
        _log.warning("adopted a refund that an earlier attempt made", refund_id=str(refund.id))
        return await self._made(job, refund, found, position)

    async def _send(self, job: Job) -> Result:
        async with job.holding() as connection:
            calling = await begin_call(connection, refund_id(job), job.attempt, job.actor)
            refund = await reading.get(connection, refund_id(job))
        if calling is not None:
            return await self._call(job, calling)
        if refund.status is RefundStatus.HELD:
            raise Postponed(f"held: {refund.error}", HELD_PAUSE)
        if refund.status is RefundStatus.PENDING:
            raise Postponed("the money is on its way", FIRST_PENDING_PAUSE)
        return NOTHING_TO_DO

    async def _call(self, job: Job, calling: Calling) -> Result:
        refund, position, key_was_spent = calling
        try:
            made = await self._gateway.refund(RefundCall.of(refund))
        except GatewayUnavailable as failure:
            self._breaker.failed(refund.id, failure.retry_after, is_outage=failure.is_outage)
            error = describe_error(failure)
            async with job.holding() as connection:
                refund = await answers.record_not_reached(
                    connection, refund.id, error, position, job.actor, key_spent=key_was_spent
                )
            raise Postponed(error, max(self._breaker.pause(), outage_pause(refund))) from failure
        except Declined as declined:
            await self._answered(job)
            async with job.holding() as connection:
                await answers.record_decline(connection, refund.id, storable(str(declined)), position, job.actor)
            return await self._continue(job)
        except OutcomeUnknown as failure:
            self._breaker.failed(refund.id, is_outage=failure.is_outage)
            async with job.holding() as connection:
                await answers.record_lost_answer(connection, refund.id, failure, position, job.actor)
            raise Postponed(describe_error(failure), FIRST_PAUSE) from failure
        await self._answered(job)
        return await self._made(job, refund, made, position)

    async def _made(self, job: Job, refund: Refund, made: GatewayRefund, position: int | None) -> Result:
        if made.status is GatewayRefundStatus.SUCCEEDED:
            return {"transaction_id": made.id, "call": position}
        async with job.holding() as connection:
            await answers.record_pending(connection, refund.id, made.id, position, job.actor)
        raise Postponed("the money is on its way", FIRST_PENDING_PAUSE)

    async def _follow(self, job: Job, refund: Refund, transaction_id: str, now: datetime) -> Result:
        """What became of a refund that the provider had accepted."""
        async with job.reading() as connection:
            status = await provider.status_of(connection, transaction_id)
        if status is GatewayRefundStatus.FAILED:
            raise Declined(f"refund {transaction_id} has failed at the provider")
        try:
            refunds = await self._gateway.refunds_of(refund.request.payment_reference)
        except GatewayFailure as failure:
            self._breaker.failed(refund.id, failure.retry_after, is_outage=failure.is_outage)
            raise Postponed(f"not looked up: {describe_error(failure)}", pending_pause(refund, now)) from failure
        await self._answered(job)
        made = next((each for each in refunds if each.id == transaction_id), None)
        if made is None or made.status is GatewayRefundStatus.PENDING:
            raise Postponed("the money is on its way", pending_pause(refund, now))
        if made.status is GatewayRefundStatus.FAILED:
            # An event that reports its earlier success may still come.
            async with job.holding() as connection:
                await provider.merge_refund(connection, made)
            raise Declined(made.failure)
        return {"transaction_id": made.id, "call": None}

    async def _answered(self, job: Job) -> None:
        """Where the gateway answers again, refunds whose outcome is open need not wait for their next look-up."""
        if self._breaker.succeeded():
            async with job.transaction() as connection:
                await queue.wake(connection, REFUND_JOB, await writing.unsettled(connection))


async def _answer(job: Job, position: int, outcome: str, text: str | None) -> None:
    async with job.transaction() as connection:
        await calls.insert_answer(connection, position, outcome, text)
