"""The circuit breaker of the payment gateway: an outage uses up no attempts."""

from uuid import uuid4

import pytest
from common.database.transactions import Pool
from refunds.payment_gateway.breaker import LONGEST_OPEN, Breaker, Circuit
from refunds.payment_gateway.port import GatewayRefund, GatewayUnavailable, RefundCall
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
    def __init__(self) -> None:
        super().__init__()
        self.is_out, self.calls = True, 0

    async def refund(self, call: RefundCall) -> GatewayRefund:
        self.calls += 1
        if self.is_out:
            raise GatewayUnavailable("not reached")
        return await super().refund(call)


async def test_an_outage_uses_up_no_attempts_and_afterwards_all_refunds_are_made(pool: Pool) -> None:
    refunds, gateway = [await open_refund(pool) for _ in range(20)], Outage()
    async with running_worker(pool, RefundJob(gateway)):
        await eventually_true(lambda: gateway.calls > 8 + 3)
        gateway.is_out = False
        for refund in refunds:
            await job_in_state(pool, refund, "done")
    for refund in refunds:
        assert len(await gateway.refunds(refund.request.payment_reference)) == 1
    failures = [[outcome for outcome, _ in (await job_of(pool, refund)).attempts].count("failed") for refund in refunds]
    assert max(failures) <= 1, "only the failures that opened the circuit are counted"
    assert sum(failures) <= 8
