"""The circuit breaker of the payment gateway: an outage uses up no attempts."""

from datetime import timedelta
from uuid import uuid4

import pytest
from common.database.transactions import Pool
from refunds.domain import pauses
from refunds.domain.refund import Refund
from refunds.payment_gateway.breaker import LONGEST_OPEN, Breaker, Circuit
from refunds.payment_gateway.port import (
    GatewayError,
    GatewayFailure,
    GatewayRefund,
    GatewayUnavailable,
    OutcomeUnknown,
    RefundCall,
)
from refunds.worker.refund_job import RefundJob
from support.example.refunds import job_in_state, job_of, open_refund, running_worker
from support.payments.fake_gateway import FakePaymentGateway
from support.waiting import eventually_true


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_it_opens_after_failures_of_three_refunds_in_a_row_and_lets_one_probe() -> None:
    clock = Clock()
    breaker = Breaker("a", seconds_open=1, clock=clock)
    first, second, third = uuid4(), uuid4(), uuid4()
    for _ in range(10):
        breaker.failed(first)
    breaker.failed(second)
    assert (breaker.circuit, breaker.places(8)) == (Circuit.CLOSED, 8)
    breaker.failed(third)
    assert (breaker.circuit, breaker.places(8), breaker.seconds_to_wait(first)) == (Circuit.OPEN, 0, 1)

    clock.seconds = 1.5
    assert (breaker.circuit, breaker.places(8)) == (Circuit.HALF_OPEN, 1)
    assert breaker.seconds_to_wait(first) is None
    assert breaker.seconds_to_wait(second) == 1, "only one probes"
    breaker.failed(first)
    assert breaker.circuit is Circuit.OPEN

    clock.seconds = 3
    assert breaker.seconds_to_wait(second) is None
    assert breaker.succeeded()
    assert (breaker.circuit, breaker.places(8)) == (Circuit.CLOSED, 8)
    assert not breaker.succeeded()


def test_an_answer_in_between_starts_the_count_again() -> None:
    breaker = Breaker("b")
    for _ in range(5):
        breaker.failed(uuid4())
        breaker.failed(uuid4())
        breaker.succeeded()
    assert breaker.circuit is Circuit.CLOSED


def test_three_calls_of_one_refund_without_an_answer_open_it() -> None:
    breaker, refund = Breaker("f"), uuid4()
    states = []
    for _ in range(3):
        breaker.failed(refund, is_outage=True)
        states.append(breaker.circuit)
    assert states == [Circuit.CLOSED, Circuit.CLOSED, Circuit.OPEN]


def test_the_probes_of_a_long_outage_are_not_remembered() -> None:
    clock = Clock()
    breaker, refund = Breaker("g", clock=clock), uuid4()
    sizes = set()
    for second in range(100):
        clock.seconds = second * 2.0
        assert breaker.seconds_to_wait(refund) is None
        breaker.failed(refund, is_outage=True)
        if breaker.circuit is Circuit.OPEN:
            sizes.add(len(vars(breaker)["_failed"]))
    assert len(sizes) == 1


def test_a_gateway_that_asks_to_wait_is_not_called_for_that_time() -> None:
    clock = Clock()
    breaker = Breaker("c", clock=clock)
    breaker.failed(uuid4(), retry_after=30)
    assert (breaker.places(8), breaker.seconds_to_wait(uuid4())) == (0, 30)
    clock.seconds = 31
    assert breaker.places(8) == 1


@pytest.mark.parametrize("seconds", [86_400, float("9" * 30)])
def test_a_gateway_that_asks_to_wait_for_hours_is_called_after_some_minutes(seconds: float) -> None:
    breaker = Breaker("e", clock=Clock())
    breaker.failed(uuid4(), retry_after=seconds)
    assert breaker.seconds_to_wait(uuid4()) == LONGEST_OPEN


def test_a_probe_that_made_no_call_leaves_its_place() -> None:
    breaker = Breaker("d", seconds_open=0)
    for _ in range(3):
        breaker.failed(uuid4())
    probe = uuid4()
    assert breaker.seconds_to_wait(probe) is None
    breaker.abandon(probe)
    assert breaker.seconds_to_wait(uuid4()) is None


class Outage(FakePaymentGateway):
    """Not reached while `is_out`, or without an answer; then look-ups have an answer or none."""

    def __init__(self, failure: GatewayFailure | None = None, *, has_look_ups: bool = False) -> None:
        super().__init__()
        self.is_out, self.calls = True, 0
        self._failure = failure or GatewayUnavailable("not reached")
        self._has_look_ups = has_look_ups

    async def refund(self, call: RefundCall) -> GatewayRefund:
        self.calls += 1
        if self.is_out:
            raise self._failure
        return await super().refund(call)

    async def find(self, call: RefundCall) -> GatewayRefund | None:
        if self.is_out and not self._has_look_ups:
            self.calls += 1
            raise self._failure
        return await super().find(call)


async def test_an_outage_uses_up_no_attempts_and_afterwards_all_refunds_are_made(pool: Pool) -> None:
    refunds, gateway = [await open_refund(pool) for _ in range(20)], Outage()
    async with running_worker(pool, RefundJob(gateway)):
        await eventually_true(lambda: gateway.calls > 8 + 3)
        gateway.is_out = False
        for refund in refunds:
            await job_in_state(pool, refund, "done")
    for refund in refunds:
        assert len(await gateway.refunds(refund.request.payment_reference)) == 1
    for refund in refunds:
        assert await failed_attempts(pool, refund) == 0


async def failed_attempts(pool: Pool, refund: Refund) -> int:
    return [outcome for outcome, _ in (await job_of(pool, refund)).attempts].count("failed")


OUTAGES = {
    "not reached": Outage(),
    "no answer to anything": Outage(OutcomeUnknown("no answer within 8 s")),
    "no answer to refunds": Outage(OutcomeUnknown("503: the provider is in maintenance"), has_look_ups=True),
}


@pytest.mark.parametrize("gateway", OUTAGES.values(), ids=OUTAGES)
async def test_an_outage_uses_up_no_attempts_of_a_single_refund(
    pool: Pool, gateway: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its schedule allows six."""
    monkeypatch.setattr(pauses, "LONGEST_PAUSE", timedelta(seconds=0.05))
    refund = await open_refund(pool)
    async with running_worker(pool, RefundJob(gateway, breaker=Breaker("fake", seconds_open=0.05))):
        await eventually_true(lambda: gateway.calls > 7, within=30)
        assert await pool.fetchval("SELECT unreached_since IS NOT NULL FROM refunds") is True
        gateway.is_out = False
        await job_in_state(pool, refund, "done")
    assert await failed_attempts(pool, refund) == 0
    assert len(await gateway.refunds(refund.request.payment_reference)) == 1
    assert await pool.fetchval("SELECT unreached_since FROM refunds") is None


async def test_a_refund_that_the_gateway_answers_with_errors_only_fails_after_its_attempts(pool: Pool) -> None:
    refund, gateway = await open_refund(pool), Outage(GatewayError("500: an unknown error"), has_look_ups=True)
    async with running_worker(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "dead")
    assert (gateway.calls, await failed_attempts(pool, refund)) == (6, 6)
