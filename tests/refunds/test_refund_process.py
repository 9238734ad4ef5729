"""The refund process as a state machine: any sequence of failures, crashes, pauses and replays."""

import asyncio
from typing import Any
from uuid import UUID

from common.database.transactions import Pool, open_pool, transaction
from common.jobs import leases
from common.jobs.job import Job
from common.messaging.incoming.inbox import Inbox
from common.paging import Paging
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from refunds.consumer import EVENT_HANDLERS
from refunds.domain.refund import Refund
from refunds.payment_gateway.breaker import Breaker
from refunds.payment_gateway.port import GatewayRefund
from refunds.repository import reading
from refunds.repository.reading import RefundFilter
from refunds.use_cases.jobs import REFUND_JOB
from refunds.worker.refund_job import RefundJob
from support.example.refund_events import kafka_record, payment_identified, return_completed
from support.jobs.attempts import attempt, claim_jobs
from support.jobs.rows import replay_job
from support.payments.fake_gateway import FakePaymentGateway
from support.postgres.audit_trail import first_broken, history
from support.postgres.databases import Database
from support.state_machines import run_machine

# Fewer than in production, so that permanent failures and replays are frequent.
RETRIES = (1, 1)
# The rest of a schedule, a full schedule with a used key, and one attempt with a new key; each with its look-up.
MOST_ATTEMPTS_TO_RECOVER = 14
FAULTS = st.sampled_from(
    [
        None,
        "decline",
        "fail_for_good",
        "rate_limit",
        "timeout_before_apply",
        "timeout_after_apply",
        "arrive_late",
        "crash_before_apply",
        "crash_after_apply",
    ]
)


class RefundProcess(RuleBasedStateMachine):
    """The refund of one return, whose payment was reported without an id.

    Its retries are due immediately, and its leases expire by a rule.
    """

    def __init__(self, runner: asyncio.Runner, pool: Pool) -> None:
        super().__init__()
        self._run = runner.run
        self._pool = pool
        self._inbox = Inbox(pool, "refunds", EVENT_HANDLERS)
        self._gateway = FakePaymentGateway()
        self._handler = RefundJob(self._gateway, call_seconds=0, breaker=Breaker("fake", seconds_open=0))
        self._completed = return_completed()
        self._completed["payment_reference"] = f"order-{self._completed['order_id']}"
        self._id_of_payment = f"pi_{self._completed['order_id']}"
        self._key = f"return:{self._completed['return_id']}"
        self._paused: list[Job] = []

    @initialize()
    def the_return_is_completed(self) -> None:
        async def begin() -> None:
            await self._pool.execute("DELETE FROM jobs")  # from an example that failed
            await self._inbox.process([kafka_record("return.completed", self._completed)])

        self._run(begin())

    @rule()
    def the_event_is_repeated(self) -> None:
        self._run(self._inbox.process([kafka_record("return.completed", self._completed)]))

    @rule()
    def the_payments_id_becomes_known(self) -> None:
        identified = payment_identified(self._completed["order_id"], self._id_of_payment)
        self._run(self._inbox.process([kafka_record("order.payment_identified", identified)]))

    @rule(fault=FAULTS)
    def a_worker_makes_an_attempt(self, fault: str | None) -> None:
        self._run(self._work(fault))

    @rule(fault=FAULTS.filter(lambda fault: fault is not None))
    def the_gateway_fails_in_one_way_until_the_job_is_dead(self, fault: str) -> None:
        async def fail() -> None:
            for _ in range(2 * (len(RETRIES) + 1)):
                await self._work(fault)

        self._run(fail())

    @rule()
    def a_worker_claims_the_job_and_pauses(self) -> None:
        if job := self._run(self._claim()):
            self._paused.append(job)

    @precondition(lambda self: self._paused)
    @rule(fault=FAULTS)
    def a_paused_worker_continues(self, fault: str | None) -> None:
        self._run(self._attempt(self._paused.pop(0), fault))

    @rule(fault=FAULTS, meanwhile=FAULTS)
    def a_worker_pauses_in_its_call_and_another_takes_over(self, fault: str | None, meanwhile: str | None) -> None:
        async def take_over() -> None:
            await self._expire_leases()
            await self._work(meanwhile)

        self._gateway.meanwhile = take_over
        self._run(self._work(fault))
        self._gateway.meanwhile = None

    @rule()
    def the_lease_expires(self) -> None:
        self._run(self._expire_leases())

    @rule()
    def a_late_call_arrives(self) -> None:
        self._gateway.deliver_late_calls()

    @precondition(lambda self: not self._paused)
    @rule()
    def the_gateway_deletes_its_keys(self) -> None:
        self._gateway.forget_keys()

    @rule()
    def an_operator_replays_a_dead_job(self) -> None:
        self._run(self._replay())

    @invariant()
    def the_money_is_refunded_at_most_once_and_our_data_agrees(self) -> None:
        self._run(self._check())

    def teardown(self) -> None:
        """After the end of the faults, the refund is made once and the audit chain is valid."""
        self._run(self._recover())

    async def _recover(self) -> None:
        await self._gateway.mend()
        for _ in range(MOST_ATTEMPTS_TO_RECOVER):
            await self._expire_leases()
            await self._replay()
            await self._work(None)
        job = await self._job()
        assert job["state"] == "done", dict(job)
        self._gateway.deliver_late_calls()
        await self._check()
        assert len(await self._refunds_made()) == 1
        async with self._pool.acquire() as connection:
            assert first_broken(await history(connection, "REFUND", (await self._refund()).id)) is None

    async def _check(self) -> None:
        refund, job = await self._refund(), await self._job()
        refunds = await self._refunds_made()
        assert len(refunds) <= 1
        assert (job["state"] == "done") == (refund.status == "SUCCEEDED")
        assert job["state"] != "dead" or refund.status in {"FAILED", "DECLINED"}
        if refund.status == "SUCCEEDED":
            assert [refund.transaction_id] == [each.id for each in refunds]
        types = [row["type"] for row in await self._events(refund)]
        assert types.count("refund.succeeded") == (refund.status == "SUCCEEDED")
        assert "refund.succeeded" not in types[:-1], "another event after the success"

    async def _work(self, fault: str | None) -> None:
        if job := await self._claim():
            await self._attempt(job, fault)

    async def _claim(self) -> Job | None:
        return next(iter(await claim_jobs(self._pool, REFUND_JOB, 1)), None)

    async def _attempt(self, job: Job, fault: str | None) -> None:
        await self._gateway.mend()
        if fault is not None:
            await self._gateway.fail(fault)
        await attempt(job, self._handler, RETRIES)

    async def _expire_leases(self) -> None:
        async with transaction(self._pool) as connection:
            await connection.execute("UPDATE jobs SET leased_until = now() - interval '1 s' WHERE state = 'running'")
            await leases.release_expired(connection)

    async def _replay(self) -> None:
        async with transaction(self._pool) as connection:
            await replay_job(connection, (await self._job())["id"])

    async def _refund(self) -> Refund:
        async with self._pool.acquire() as connection:
            filters = RefundFilter(return_id=UUID(self._completed["return_id"]))
            page = await reading.find_page(connection, filters, Paging(2))
        assert page.total == 1
        return page.rows[0]

    async def _job(self) -> Any:
        (job,) = await self._pool.fetch("SELECT * FROM jobs WHERE kind = 'refund' AND business_key = $1", self._key)
        return job

    async def _events(self, refund: Refund) -> list[Any]:
        return list(
            await self._pool.fetch("SELECT type FROM outbox WHERE aggregateid = $1 ORDER BY position", str(refund.id))
        )

    async def _refunds_made(self) -> list[GatewayRefund]:
        references = self._completed["payment_reference"], self._id_of_payment
        return [refund for reference in references for refund in await self._gateway.refunds(reference)]


def test_the_money_is_refunded_exactly_once_in_any_sequence_of_events_and_faults(database: Database) -> None:
    with asyncio.Runner() as runner:
        pool = runner.run(open_pool(database.dsn, size=4, application_name="test"))

        class OnThisDatabase(RefundProcess):
            def __init__(self) -> None:
                super().__init__(runner, pool)

        try:
            run_machine(OnThisDatabase, steps=20)
        finally:
            runner.run(pool.close())
